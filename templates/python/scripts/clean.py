"""Reads the table of sales and keeps those that are large enough."""

import csv
import json
import os
import sys

smallest = float(sys.argv[1])
with open(os.environ["ASSETS_INPUT_SALES_CSV"], newline="") as table:
    rows = [{**row, "amount": float(row["amount"])} for row in csv.DictReader(table)]
with open(os.environ["ASSETS_OUTPUT"], "w") as output:
    json.dump([row for row in rows if row["amount"] >= smallest], output, indent=1)
