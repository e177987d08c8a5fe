#!/bin/sh
# What is worth knowing, for people.
set -eu
monthly=$1 extremes=$2 report=$3

{
    echo "# Weather"
    echo
    echo "| city | what | day | value |"
    echo "|---|---|---|---|"
    awk -F, 'NR > 1 { printf "| %s | %s | %s | %s |\n", $1, $2, $3, $4 }' "$extremes"
    echo
    awk -F, '
        NR > 1 && (!most || $5 + 0 > most) { most = $5 + 0; city = $1; month = $2 }
        END { printf "The month with the most wet days was %s in %s: %d.\n", month, city, most }
    ' "$monthly"
} > "$report"
