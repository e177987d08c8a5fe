#!/bin/sh
# Fails if a city was hotter than is believable.
set -eu
limit=$1 extremes=$2

awk -F, -v limit="$limit" '
    $2 == "hottest" && $4 + 0 > limit {
        printf "%s: %s degrees on %s, more than %s can be believed\n", $1, $4, $3, limit > "/dev/stderr"
        failed = 1
    }
    $2 == "hottest" { cities++ }
    END {
        if (!cities) { print "there are no extremes to check" > "/dev/stderr"; exit 1 }
        if (failed) exit 1
        printf "no temperature above %s in %d cities\n", limit, cities
    }
' "$extremes"
