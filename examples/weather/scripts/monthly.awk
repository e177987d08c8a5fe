# Rows of one city in no order: city, month, mean temperature, rain, wet days.
BEGIN { FS = "," }
$1 == "date" { next }
{
    month = substr($1, 1, 7)
    days[month]++
    temperature[month] += ($3 + $4) / 2
    rain[month] += $2
    wet_days[month] += ($2 >= wet)
}
END {
    for (month in days)
        printf "%s,%s,%.1f,%.1f,%d\n", city, month, temperature[month] / days[month], rain[month], wet_days[month]
}
