# One row for each city of one day: what the summary of a month is made from.
BEGIN { FS = OFS = ","; print "city", "day", "temp_mean", "rain_mm" }
FNR > 1 { printf "%s,%s,%.2f,%.1f\n", $1, $2, ($4 + $5) / 2, $3 }
