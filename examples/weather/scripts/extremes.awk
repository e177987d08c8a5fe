# The hottest, coldest and wettest day of each table; of several, the first.
BEGIN { FS = OFS = ","; print "city", "what", "date", "value" }
FNR == 1 {
    tell()
    city = FILENAME
    sub(/.*\//, "", city)
    sub(/\.csv$/, "", city)
    days = 0
    next
}
{
    if (!days || $3 + 0 > high) { high = $3 + 0; high_day = $1 }
    if (!days || $4 + 0 < low) { low = $4 + 0; low_day = $1 }
    if (!days || $2 + 0 > rain) { rain = $2 + 0; rain_day = $1 }
    days++
}
END { tell() }

function tell() {
    if (!days) return
    print city, "hottest", high_day, high
    print city, "coldest", low_day, low
    print city, "wettest", rain_day, rain
}
