#!/usr/bin/env python3
"""A layered graph built, asked about and changed: beside ninja and make, and where it is small other tools too.

    cargo build --release
    benches/layered.py [--assets target/release/assets] [--sizes 200,1000,10000] [--rounds 5] [--peers-bin DIR] [--limit-s 600]

A full build is measured once, everything else is the best of the rounds, all tools in turn in each. CPU time is what to
look at: wall time on a shared machine says more of the neighbours. `--peers-bin` is the folder where
`pip install dvc snakemake doit` put its programs; DVC is measured up to 200 assets, Snakemake and doit up to 1,000, make up
to 10,000. What is not installed, or takes longer than the limit, is left out by name. Only the Python standard library is
needed.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import layered_graph
import measure

DVC_MAX = 200  # its time grows with the square: a build of 100 stages took 15 s of CPU, of 200 stages 56 s
PYTHON_PEERS_MAX = 1_000
MAKE_MAX = 10_000


@dataclass
class Tool:
    """How one tool is asked; a command that is None is a question that the tool does not know."""

    build: list
    status: list
    load: list
    one: object
    write: object
    assets_max: int = sys.maxsize
    prepare: list = None


def known_tools(binary, peers):
    dvc, snakemake, doit = (str(peers / it) if peers else it for it in ("dvc", "snakemake", "doit"))
    snake = [snakemake, "-q", "all", "-c2"]
    return {
        "assets": Tool(
            build=[binary, "materialize", "-q", "-j2"],
            status=[binary, "status", "-q", "--exit-zero"],
            load=[binary, "validate", "-q"],
            one=lambda name: [binary, "status", "-q", "--exit-zero", "-s", name],
            write=layered_graph.write_assets,
        ),
        "ninja": Tool(
            build=["ninja", "-j2"],
            status=["ninja", "-n"],
            load=["ninja", "-t", "rules"],
            one=lambda name: ["ninja", "-n", f"ninja/{name}.txt"],
            write=layered_graph.write_ninja,
        ),
        "make": Tool(
            build=["make", "-s", "-j2", "all"],
            status=["make", "-n", "all"],
            load=["make", "-s", "nothing"],
            one=lambda name: ["make", "-n", f"make/{name}.txt"],
            write=layered_graph.write_make,
            assets_max=MAKE_MAX,
        ),
        "dvc": Tool(
            build=[dvc, "repro", "-q"],
            status=[dvc, "status"],
            load=[dvc, "stage", "list", "--name-only"],
            one=lambda name: [dvc, "status", "--with-deps", name],
            write=layered_graph.write_dvc,
            assets_max=DVC_MAX,
            prepare=[dvc, "init", "-q", "--no-scm"],
        ),
        "snakemake": Tool(
            build=snake,
            status=[*snake, "-n"],
            load=[snakemake, "--list"],
            one=lambda name: [*snake, "-n", f"snakemake/{name}.txt"],
            write=layered_graph.write_snakemake,
            assets_max=PYTHON_PEERS_MAX,
        ),
        "doit": Tool(
            build=[doit, "-n2", "-v0"],
            status=[doit, "list", "--status"],
            load=[doit, "list", "-q"],
            one=lambda name: [doit, "list", "--status", "--deps", name],
            write=layered_graph.write_doit,
            assets_max=PYTHON_PEERS_MAX,
        ),
    }


def installed(tools):
    """The tools that are there; the others are named, so that a short table does not look like the whole."""
    there = {name: it for name, it in tools.items() if shutil.which(it.build[0])}
    for name in tools.keys() - there.keys():
        print(f"left out: {name} is not installed")
    return there


def generate(folder, count, tools):
    layered_graph.write_sources(folder, count)
    for name, tool in tools.items():
        (folder / name).mkdir()
        tool.write(folder, count)
        if tool.prepare:
            subprocess.run(tool.prepare, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def measured(tools, count, rounds, limit_s, folder):
    def raced(title, commands, **how):
        seen = measure.race(commands, folder, limit_s=limit_s, **how)
        measure.tell(f"{count:,} assets: {title}", seen, "ninja")
        return seen

    def of(question):
        return {name: question(it) for name, it in tools.items()}

    raced("first load", of(lambda it: it.load), rounds=rounds, before=lambda: shutil.rmtree(folder / ".assets", ignore_errors=True))
    built = raced("full build", of(lambda it: it.build))
    tools = {name: tools[name] for name in built}
    raced("no-op, asked", of(lambda it: it.status), rounds=rounds)
    raced("no-op, built", of(lambda it: it.build), rounds=rounds)
    raced("one of the first layer", of(lambda it: it.one("n50")), rounds=rounds)
    raced("one of the last layer", of(lambda it: it.one(f"n{count - 50}")), rounds=rounds)
    edits = iter(range(rounds))
    changed = {f"{name}: ask": it.status for name, it in tools.items()} | {f"{name}: build": it.build for name, it in tools.items()}
    seen = measure.race(changed, folder, rounds=rounds, before=lambda: edit(folder, count, next(edits)), limit_s=limit_s)
    for what in ("ask", "build"):
        rows = {name.split(":")[0]: it for name, it in seen.items() if name.endswith(what)}
        measure.tell(f"{count:,} assets: one leaf edited, {what}", rows, "ninja")
    tell_first_write(tools, count, rounds, folder)


def tell_first_write(tools, count, rounds, folder):
    """How long after its start a tool's command for an edited leaf has written: what is in front of the work."""
    waits = {name: [] for name in tools}
    for round in range(rounds):
        edit(folder, count, rounds + round)
        for name, it in tools.items():
            start_ns = measure.cost(it.build, folder).start_ns
            wait_ns = (folder / name / f"n{count - 50}.txt").stat().st_mtime_ns - start_ns
            if wait_ns < 0:
                sys.exit(f"{name} did not make what was edited again")
            waits[name].append(wait_ns)
    print(f"\n{count:,} assets: one leaf edited, from start to what its command wrote\n  {'':20}{'wall ms':>10}{'to ninja':>16}")
    best = {name: min(it) / 1e6 for name, it in waits.items()}
    for name, wait_ms in best.items():
        ratio = f"{wait_ms / best['ninja']:.2f}" if "ninja" in best else "-"
        print(f"  {name:20}{wait_ms:10.1f}{ratio:>16}", flush=True)


def edit(folder, count, round):
    (folder / "src" / f"s{count - 50}.txt").write_text(f"edited {round:056d}\n")
    time.sleep(0.1)  # a file as young as the clock's last tick is read again by a tool that is careful


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--assets", default="target/release/assets")
    options.add_argument("--sizes", default="200,1000,10000")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--peers-bin", type=pathlib.Path)
    options.add_argument("--limit-s", type=int, default=600)
    asked = options.parse_args()
    binary = pathlib.Path(asked.assets).resolve()
    if not binary.exists():
        sys.exit(f"{binary} is not there: build it, or say where it is with --assets")
    measure.start_ready()
    os.environ["DVC_NO_ANALYTICS"] = "1"
    tools = installed(known_tools(str(binary), asked.peers_bin and asked.peers_bin.resolve()))
    for size in map(int, asked.sizes.split(",")):
        if size < layered_graph.WIDTH or size % layered_graph.WIDTH:
            sys.exit(f"{size} is not a number of whole layers, each of {layered_graph.WIDTH}")
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "project"
            fitting = {name: it for name, it in tools.items() if size <= it.assets_max}
            generate(folder, size, fitting)
            measured(fitting, size, asked.rounds, asked.limit_s, folder)


if __name__ == "__main__":
    main()
