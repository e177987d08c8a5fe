"""The sum of amounts for each value of the column that is named."""

import collections
import json
import os
import sys

column = sys.argv[1]
total = collections.Counter()
with open(os.environ["ASSETS_INPUT_SALES"]) as sales:
    for row in json.load(sales):
        total[row[column]] += row["amount"]
with open(os.environ["ASSETS_OUTPUT"], "w") as output:
    # Sorted, so that the same data is the same file: what depends on it is then left alone.
    json.dump(dict(sorted(total.items())), output, indent=1)
