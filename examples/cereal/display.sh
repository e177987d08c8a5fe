#!/bin/sh
# Tells the two answers. Where they are and where to write is in the environment.
set -eu

name_of() { awk -F, 'NR == 2 { print $1 }' "$1"; }

{
    echo "Most calories: $(name_of "$ASSETS_INPUT_HIGHEST_CALORIES")"
    echo "Most protein:  $(name_of "$ASSETS_INPUT_HIGHEST_PROTEIN")"
} > "$ASSETS_OUTPUT"
