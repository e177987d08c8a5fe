# The sum of `amount` for each value of the column that -v column names, largest first.
BEGIN { FS = OFS = "," }
NR == 1 {
    for (i = 1; i <= NF; i++) place[$i] = i
    if (!(column in place)) { print "there is no column " column > "/dev/stderr"; exit 1 }
    print column, "amount"
    next
}
{ total[$place[column]] += $place["amount"] }
END {
    while (1) {
        best = ""
        for (name in total)
            if (best == "" || total[name] > total[best] || (total[name] == total[best] && name < best)) best = name
        if (best == "") break
        print best, total[best]
        delete total[best]
    }
}
