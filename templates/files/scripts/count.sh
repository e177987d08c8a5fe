# How often each word stands in each of the texts that are given: a file for each in the output folder.
set -e
mkdir "$ASSETS_OUTPUT"
for text in "$@"; do
    tr -cs '[:alpha:]' '\n' < "$text" | tr '[:upper:]' '[:lower:]' | sort | uniq -c |
        awk 'NF == 2 { print $2, $1 }' > "$ASSETS_OUTPUT/$(basename "$text")"
done
