#!/bin/sh
# One row for each city and month, from folders of years named after their city.
set -eu
LC_ALL=C
export LC_ALL
wet_mm=$1
shift

echo "city,month,temp_mean,rain_mm,wet_days"
for folder; do
    awk -f scripts/monthly.awk -v city="$(basename "$folder")" -v wet="$wet_mm" "$folder"/*.csv | sort
done
