#!/usr/bin/env python3
"""Full build and no-op of a layered graph, beside ninja and make, in one run.

    cargo build --release
    benches/layered.py [--assets target/release/assets] [--sizes 1000,10000] [--rounds 5]

The graph: width 100, one 64-byte source file for each asset and two upstream assets, command `cp`.
Reported is CPU time (user + system, children included), best of the rounds, and its ratio to ninja's in
the same run: wall time on a shared machine says more of the neighbours. Tools that are not installed
are left out by name. Only the Python standard library is needed.
"""

import argparse
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

WIDTH = 100


def upstream(index):
    layer, column = divmod(index, WIDTH)
    if layer == 0:
        return []
    below = (layer - 1) * WIDTH
    return [below + column, below + (column + 1) % WIDTH]


def generate(folder, count):
    (folder / "src").mkdir(parents=True)
    for name in ("out", "ninja", "make"):
        (folder / name).mkdir()
    toml = ['[project]\nname = "layered"\n[io.files]\ntype = "fs"\nroot = "out"\n']
    ninja = ["rule cp\n command = cp $first $out\n"]
    make = ["all: " + " ".join(f"make/n{i}.txt" for i in range(count)) + "\n"]
    for i in range(count):
        (folder / "src" / f"s{i}.txt").write_text(f"{i:063d}\n")
        deps = upstream(i)
        names = ", ".join(f'"n{d}"' for d in deps)
        toml.append(
            f'[asset.n{i}]\ncommand = ["cp", "src/s{i}.txt", "{{{{ output }}}}"]\n'
            f'sources = ["src/s{i}.txt"]\ndeps = [{names}]\nformat = "txt"\n'
        )
        ninja.append(
            f"build ninja/n{i}.txt: cp src/s{i}.txt {' '.join(f'ninja/n{d}.txt' for d in deps)}\n first = src/s{i}.txt\n"
        )
        make.append(
            f"make/n{i}.txt: src/s{i}.txt {' '.join(f'make/n{d}.txt' for d in deps)}\n\tcp src/s{i}.txt $@\n"
        )
    (folder / "assets.toml").write_text("".join(toml))
    (folder / "build.ninja").write_text("".join(ninja))
    (folder / "Makefile").write_text("".join(make))


def cpu(command, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.decode()[-500:]}")
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime), wall


def best(command, folder, rounds):
    return min((cpu(command, folder) for _ in range(rounds)), key=lambda it: it[0])


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--assets", default="target/release/assets")
    options.add_argument("--sizes", default="1000,10000")
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    binary = pathlib.Path(asked.assets).resolve()
    if not binary.exists():
        sys.exit(f"{binary} is not there: build it, or say where it is with --assets")
    tools = {"ninja": ["ninja", "-j2"], "make": ["make", "-s", "-j2", "all"]}
    for name in [it for it in tools if shutil.which(it) is None]:
        print(f"left out: {name} is not installed")
        del tools[name]
    builds = {"assets": [str(binary), "materialize", "-q", "-j2"], **tools}
    noops = {"assets materialize": [str(binary), "materialize", "-q"], "assets status": [str(binary), "status", "-q"], **tools}
    print(f"{'':24}{'CPU ms':>10}{'wall ms':>10}{'CPU / ninja':>13}")
    for size in map(int, asked.sizes.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "project"
            generate(folder, size)
            told(f"{size:,} full build", {name: cpu(it, folder) for name, it in builds.items()})
            told(f"{size:,} no-op", {name: best(it, folder, asked.rounds) for name, it in noops.items()})


def told(title, figures):
    print(title)
    anchor = figures.get("ninja")
    for name, (used, wall) in figures.items():
        ratio = f"{used / anchor[0]:.2f}" if anchor else "-"
        print(f"  {name:22}{used * 1000:10.0f}{wall * 1000:10.0f}{ratio:>13}")


if __name__ == "__main__":
    os.environ["ASSETS_PROGRESS"] = "none"
    main()
