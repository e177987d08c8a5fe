#!/bin/sh
# One row for each city, from the days of one month that are there.
set -eu
LC_ALL=C
export LC_ALL

echo "city,month,days,temp_mean,rain_mm"
awk -F, '
    FNR > 1 { days[$1]++; temperature[$1] += $3; rain[$1] += $4; month = substr($2, 1, 7) }
    END { for (city in days) printf "%s,%s,%d,%.1f,%.1f\n", city, month, days[city], temperature[city] / days[city], rain[city] }
' "$@" | sort
