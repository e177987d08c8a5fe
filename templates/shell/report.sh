set -e
first() { awk -F, 'NR == 2 { print $1 " (" $2 ")" }' "$1"; }
{
    echo "Best city:    $(first "$ASSETS_INPUT_BY_CITY")"
    echo "Best product: $(first "$ASSETS_INPUT_BY_PRODUCT")"
} > "$ASSETS_OUTPUT"
