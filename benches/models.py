#!/usr/bin/env python3
"""One-row SQL models: made, and asked about once more, beside dbt.

    cargo build --release
    benches/models.py [--assets target/release/assets] [--models 1000] [--kept duckdb,sqlite,files] [--rounds 3] [--dbt BIN]

`--dbt` is the program of an environment with `pip install 'dbt-core~=1.10.0' dbt-duckdb`; it always writes to DuckDB. DuckDB's
library is found as the tool finds it, or named in ASSETS_DUCKDB_LIBRARY. Everything runs with two jobs, and is the best of the
rounds, all tools in turn in each. dbt makes everything again whether or not anything has changed: that is what the no-op is
held against. Only the Python standard library is needed.
"""

import argparse
import os
import pathlib
import shutil
import tempfile

import measure

IO = {
    "duckdb": '[io.kept]\ntype = "duckdb"\npath = "kept.duckdb"\n',
    "sqlite": '[io.kept]\ntype = "sqlite"\npath = "kept.sqlite"\n',
    "files": '[io.kept]\ntype = "fs"\nroot = "data"\n',
}


def write_assets(folder, kept, models):
    folder.mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "assets.toml").write_text(f'[project]\nname = "bench"\n{IO[kept]}\n[[models]]\nfiles = ["models/*.sql"]\n')
    for it in range(models):
        (folder / "models" / f"m{it}.sql").write_text(f"select {it} as n, 'row {it}' as t\n")


def write_dbt(folder, models):
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: bench\nversion: '1.0'\nprofile: bench\nmodel-paths: [models]\nmodels:\n  bench:\n    +materialized: table\n"
    )
    (folder / "profiles.yml").write_text(
        "bench:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n      path: kept.duckdb\n      threads: 2\n"
    )
    for it in range(models):
        (folder / "models" / f"m{it}.sql").write_text(f"select {it} as n, 'row {it}' as t\n")


class Tool:
    def __init__(self, name, write, build):
        self.name, self.write, self.build = name, write, build
        self.best = {}

    def take(self, what, cost):
        cpu, wall = self.best.get(what, (float("inf"), float("inf")))
        self.best[what] = (min(cpu, cost.cpu_s), min(wall, cost.wall_s))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=pathlib.Path, default="target/release/assets")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--kept", default="duckdb,sqlite,files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dbt", type=pathlib.Path)
    asked = parser.parse_args()
    measure.start_ready()
    binary = str(asked.assets.resolve())
    tools = [
        Tool(f"assets, {kept}", lambda at, kept=kept: write_assets(at, kept, asked.models), [binary, "materialize", "-q", "-j2"])
        for kept in asked.kept.split(",")
    ]
    if asked.dbt:
        os.environ |= {"DBT_PROFILES_DIR": ".", "DBT_SEND_ANONYMOUS_USAGE_STATS": "False", "DO_NOT_TRACK": "1"}
        # As installed: a link to a program is not its environment.
        dbt = [str(asked.dbt.absolute()), "-q", "run"]
        tools.append(Tool("dbt, duckdb", lambda at: write_dbt(at, asked.models), dbt))
    with tempfile.TemporaryDirectory(prefix="assets-bench-") as scratch:
        for _ in range(asked.rounds):
            for tool in tools:
                folder = pathlib.Path(scratch) / tool.name.replace(", ", "-")
                shutil.rmtree(folder, ignore_errors=True)
                tool.write(folder)
                tool.take("full build", measure.cost(tool.build, folder))
                tool.take("no-op", measure.cost(tool.build, folder))
    print(f"{asked.models} models of one row, best of {asked.rounds}: CPU s / wall s\n")
    width = max(len(it.name) for it in tools)
    for what in ("full build", "no-op"):
        for tool in tools:
            cpu, wall = tool.best[what]
            print(f"{what:12}{tool.name:{width}}  {cpu:8.3f} / {wall:8.3f}")


if __name__ == "__main__":
    main()
