"""Both answers, for people."""

import json
import os


def table(title, path):
    with open(path) as totals:
        rows = sorted(json.load(totals).items(), key=lambda it: (-it[1], it[0]))
    lines = [f"| {title} | amount |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {amount:g} |" for name, amount in rows])


with open(os.environ["ASSETS_OUTPUT"], "w") as output:
    output.write("# Sales\n\n")
    output.write(table("city", os.environ["ASSETS_INPUT_BY_CITY"]) + "\n\n")
    output.write(table("product", os.environ["ASSETS_INPUT_BY_PRODUCT"]) + "\n")
