#!/bin/sh
# A folder with one file for each year of a table.
set -eu
table=$1 folder=$2

mkdir -p "$folder"
awk -F, -v folder="$folder" '
    NR == 1 { header = $0; next }
    {
        file = folder "/" substr($1, 1, 4) ".csv"
        if (!(file in begun)) { begun[file] = 1; print header > file }
        print > file
    }
' "$table"
