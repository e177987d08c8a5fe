#!/usr/bin/env python3
"""Models over a Parquet file of ten million rows, beside the same query in DataFusion itself and beside COPY into Postgres.

    cargo build --release
    benches/big_parquet.py --python BIN [--assets target/release/assets] [--rows 10000000] [--rounds 3] [--postgres BINDIR]

`--python` is the interpreter of an environment with `pip install 'datafusion==55.*'`: the same engine in the same version, called
by nothing but its own library. A model is timed as a user runs it: start-up, hashing of its input, the query, what is recorded;
`version = "inputs"` leaves out the digest of the rows that it made. Both write Snappy. `--postgres` names the folder of a server's programs; one is
started for the time. What the server does is counted too: by its children, which end with their connections.
"""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import measure

COLUMNS = """value as id, value % 1000 as k, (value * 2654435761) % 10000000 as h, sin(value) as f, value / 7.0 as g,
'customer ' || (value % 50000) as customer, 'text of row ' || value as t, cast('2020-01-01' as date) + cast(value % 2000 as int) as d,
to_timestamp_micros(value * 1000000) as ts, cast(value % 100000 as decimal(12, 2)) as amount"""
QUERIES = {
    "rollup": "select k, d, count(*) as n, sum(amount) as total, avg(f) as f, max(ts) as last from raw group by k, d",
    "rows": "select id, k, f * 2 as f2, g, upper(customer) as customer, t, d, ts, amount from raw where h % 10 <> 3",
}
LIBRARY = """
import sys
from datafusion import SessionContext, SessionConfig
context = SessionContext(SessionConfig().with_target_partitions(2))
for source in sys.argv[3:]:
    context.register_parquet("raw", source)
context.sql(sys.argv[2]).write_parquet(sys.argv[1], compression="snappy")
"""


def project(folder, name, query, version, io='[io.files]\ntype = "fs"\nroot = "data"\n'):
    at = folder / f"{name}-{version}"
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir()
    os.link(folder / "raw.parquet", at / "raw.parquet")
    (at / "assets.toml").write_text(
        f'[project]\nname = "bench"\n{io}[source.raw]\nfiles = ["raw.parquet"]\n'
        f'[asset.made]\nsql = """{query}"""\nversion = "{version}"\n'
    )
    return at


def tell(title, costs, anchor):
    print(f"\n{title}\n  {'':28}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'CPU to':>9}{'wall to':>9} {anchor}")
    for name, it in costs.items():
        to = costs[anchor]
        ratios = f"{it.cpu_s / to.cpu_s:9.2f}{it.wall_s / to.wall_s:9.2f}"
        print(f"  {name:28}{it.cpu_s:9.2f}{it.wall_s:9.2f}{it.peak_mb:9.0f}{ratios}", flush=True)


def best(found, name, cost):
    if name not in found or cost.cpu_s < found[name].cpu_s:
        found[name] = cost


def beside_the_library(asked, binary, folder):
    for name, query in QUERIES.items():
        found = {}
        for _ in range(asked.rounds):
            out = folder / "out.parquet"
            out.unlink(missing_ok=True)
            call = [asked.python, "-c", LIBRARY, out, query, folder / "raw.parquet"]
            best(found, "DataFusion", measure.cost(call, folder))
            for version in ("inputs", "content"):
                at = project(folder, name, query, version)
                told = "a model" if version == "content" else "a model, rows not hashed"
                best(found, told, measure.cost([binary, "materialize", "-q", "-j2"], at))
        tell(f"{name}: {query[:60]}...", found, "DataFusion")


class Server:
    def __init__(self, programs, folder):
        self.user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"] if os.geteuid() == 0 else []
        self.programs, self.data = programs, folder / "server"
        self.data.mkdir()
        if self.user:
            os.chmod(folder, 0o755)
            shutil.chown(self.data, "nobody", "nogroup")
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
            self.port = any_port.getsockname()[1]
        init = [programs / "initdb", "-A", "trust", "-U", "tester", "-E", "UTF8", "--locale=C", "-D", self.data / "it"]
        subprocess.run([*self.user, *init], check=True, stdout=subprocess.DEVNULL)
        options = ["-D", self.data / "it", "-p", str(self.port), "-k", self.data, "-c", "listen_addresses=127.0.0.1"]
        self.process = subprocess.Popen([*self.user, programs / "postgres", *options], stderr=subprocess.DEVNULL)
        while subprocess.run([programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode != 0:
            time.sleep(0.2)

    def url(self):
        return f"postgres://tester@127.0.0.1:{self.port}/postgres"

    def ask(self, statement):
        return [self.programs / "psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", self.url(), "-c", statement]

    def cpu_s(self):
        """Of all connections that have ended."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def cost(self, command, folder):
        before = self.cpu_s()
        cost = measure.cost(command, folder)
        time.sleep(1)
        cost.cpu_s += self.cpu_s() - before
        return cost


def beside_copy(asked, binary, folder):
    columns = "id, k, f, customer, t, d, ts, amount"
    write = "import sys\nfrom datafusion import SessionContext\ncontext = SessionContext()\n"
    write += "context.register_parquet('raw', sys.argv[2])\n"
    write += f"rows = context.sql('select {columns} from raw')\n"
    write += "rows.write_csv(sys.argv[1], with_header=True)\nrows.write_parquet(sys.argv[3])\n"
    files = [folder / it for it in ("rows.csv", "raw.parquet", "rows.parquet")]
    subprocess.run([asked.python, "-c", write, *files], check=True)
    server = Server(asked.postgres, folder)
    os.environ["BENCH_DATABASE"] = server.url()
    made = "id bigint, k bigint, f double precision, customer text, t text, d date, ts timestamp, amount numeric(12, 2)"
    try:
        found = {}
        for _ in range(asked.rounds):
            subprocess.run(server.ask(f"set client_min_messages = warning; drop table if exists made, copied; create table copied ({made})"), check=True)
            best(found, "COPY", server.cost(server.ask(f"\\copy copied from '{folder}/rows.csv' csv header"), folder))
            for version in ("inputs", "content"):
                io = '[io.kept]\ntype = "postgres"\nurl = "{{ env.BENCH_DATABASE }}"\n'
                for kind in ("query", "command"):
                    at = project(folder, "postgres", f"select {columns} from raw", version, io)
                    if kind == "command":
                        os.link(folder / "rows.parquet", at / "rows.parquet")
                        (at / "assets.toml").write_text(
                            f'[project]\nname = "bench"\n{io}[source.rows]\nfiles = ["rows.parquet"]\n'
                            f'[asset.made]\ncommand = ["ln", "rows.parquet", "{{{{ output }}}}"]\n'
                            f'deps = ["rows"]\nformat = "parquet"\nversion = "{version}"\n'
                        )
                    subprocess.run(server.ask("set client_min_messages = warning; drop table if exists made; drop table if exists _assets_tables"), check=True)
                    told = f"a {kind}" if version == "content" else f"a {kind}, rows not hashed"
                    best(found, told, server.cost([binary, "materialize", "-q", "-j2"], at))
        tell("rows into Postgres, server included", found, "COPY")
    finally:
        server.process.terminate()
        server.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=pathlib.Path, default="target/release/assets")
    parser.add_argument("--python", type=pathlib.Path, required=True)
    parser.add_argument("--postgres", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    binary = str(asked.assets.resolve())
    measure.start_ready()
    with tempfile.TemporaryDirectory(prefix="assets-bench-") as scratch:
        folder = pathlib.Path(scratch)
        make = "import sys\nfrom datafusion import SessionContext\nSessionContext().sql(sys.argv[2]).write_parquet(sys.argv[1])\n"
        query = f"select {COLUMNS} from generate_series(0, {asked.rows - 1})"
        subprocess.run([asked.python, "-c", make, folder / "raw.parquet", query], check=True)
        print(f"{asked.rows} rows, {(folder / 'raw.parquet').stat().st_size >> 20} MB of Parquet; best of {asked.rounds}")
        beside_the_library(asked, binary, folder)
        if asked.postgres:
            beside_copy(asked, binary, folder)


if __name__ == "__main__":
    main()
