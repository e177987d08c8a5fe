# Prints the header and the row that is highest in `column`; of several, the first.
BEGIN { FS = "," }
NR == 1 {
    for (i = 1; i <= NF; i++) if ($i == column) at = i
    if (!at) { print "there is no column " column > "/dev/stderr"; failed = 1; exit 1 }
    print
    next
}
!found || $at + 0 > most { found = 1; most = $at + 0; row = $0 }
END {
    if (failed) exit 1
    if (!found) { print "the table is empty" > "/dev/stderr"; exit 1 }
    print row
}
