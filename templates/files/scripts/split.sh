# Words that stand in one file of the folder only, and those that stand in several.
set -e
awk '{ print $1 }' "$1"/* | sort | uniq -c > "$2.all"
awk '$1 == 1 { print $2 }' "$2.all" > "$2"
awk '$1 > 1 { print $2 }' "$2.all" > "$3"
rm "$2.all"
