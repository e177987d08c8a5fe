#!/usr/bin/env python3
"""What it costs to tell whether a big DuckDB table is still the same, beside count(distinct) over each of its columns.

    cargo build --release
    benches/table_digest.py [--assets target/release/assets] [--rows 10000000] [--rounds 3]

Needs ASSETS_DUCKDB_LIBRARY, and the Python packages `adbc-driver-manager` and `pyarrow`, by which DuckDB is asked in the same
version. `assets status --verify` reads the table in full and hashes every row; starting up and loading the library are counted.
Both have the machine's threads; the best of the rounds, in turn.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import measure

COLUMNS = {
    "id": "range",
    "k": "range % 1000",
    "h": "(range * 2654435761) % 10000000",
    "f": "sin(range)",
    "g": "(range / 7.0)::double",
    "customer": "'customer ' || (range % 50000)",
    "t": "'text of row ' || range",
    "d": "date '2020-01-01' + (range % 2000)::int",
    "ts": "timestamp '2020-01-01' + to_seconds(range)",
    "amount": "(range % 100000)::decimal(12, 2)",
}

ASK = """
import sys, adbc_driver_manager.dbapi as dbapi
library, path, column = sys.argv[1:]
with dbapi.connect(driver=library, entrypoint="duckdb_adbc_init", db_kwargs={"path": path}, autocommit=True) as connection:
    with connection.cursor() as cursor:
        cursor.execute(f"select count(distinct {column}) from big")
        print(cursor.fetchone()[0])
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=pathlib.Path, default="target/release/assets")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    library = os.environ["ASSETS_DUCKDB_LIBRARY"]
    binary = str(asked.assets.resolve())
    measure.start_ready()
    with tempfile.TemporaryDirectory(prefix="assets-bench-") as scratch:
        folder = pathlib.Path(scratch)
        columns = ", ".join(f"{what} as {name}" for name, what in COLUMNS.items())
        (folder / "assets.toml").write_text(
            '[project]\nname = "bench"\n[io.kept]\ntype = "duckdb"\npath = "kept.duckdb"\n'
            f'[asset.big]\nsql = """select {columns} from range({asked.rows})"""\n'
        )
        subprocess.run([binary, "materialize", "-q"], cwd=folder, check=True)
        asks = {"digest": [binary, "status", "-q", "--verify"]}
        asks |= {f"count(distinct {it})": [sys.executable, "-c", ASK, library, "kept.duckdb", it] for it in COLUMNS}
        best = {}
        for _ in range(asked.rounds):
            for name, command in asks.items():
                cost = measure.cost(command, folder)
                cpu, wall = best.get(name, (float("inf"), float("inf")))
                best[name] = (min(cpu, cost.cpu_s), min(wall, cost.wall_s))
    print(f"{asked.rows} rows, {len(COLUMNS)} columns, best of {asked.rounds}: CPU s / wall s\n")
    for name, (cpu, wall) in best.items():
        print(f"{name:26}{cpu:8.2f} / {wall:8.2f}")


if __name__ == "__main__":
    main()
