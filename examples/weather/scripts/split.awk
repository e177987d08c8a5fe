# One table for each city, without the column of the city, from the year `from` on.
BEGIN { FS = OFS = ","; file["Seattle"] = seattle; file["New York"] = new_york }
{
    if ($1 == "location") {
        for (city in file) print $2, $3, $4, $5, $6, $7 > file[city]
        next
    }
    if (!($1 in file)) { print "unknown city: " $1 > "/dev/stderr"; exit 1 }
    if (substr($2, 1, 4) + 0 >= from) print $2, $3, $4, $5, $6, $7 > file[$1]
}
