#!/bin/sh
# Two tables of csv as one page. Usage: report.sh BEST_SELLERS CUSTOMER_VALUE > PAGE
euros='{ printf "%-14s %8.2f\n", $name, $amount / 100 }'
echo "Best sellers"
tail -n +2 "$1" | LC_ALL=C sort -t, -k4,4nr | head -n 3 | awk -F, -v name=1 -v amount=4 "$euros"
echo
echo "Best customers"
tail -n +2 "$2" | LC_ALL=C sort -t, -k6,6nr | head -n 3 | awk -F, -v name=2 -v amount=6 "$euros"
