#!/usr/bin/env python3
"""One big source file, hashed from the page cache: beside b3sum, openssl and the coreutils.

    cargo build --release
    benches/one_file.py [--assets target/release/assets] [--size 1000000000] [--rounds 3] [--b3sum b3sum]

`cat` shows what reading alone costs. Threads are as many as each tool takes by itself, and one for `b3sum -1`. A tool that is not
there is left out by name. Only the Python standard library is needed.
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile

import measure

PIECE = 1 << 20
MANIFEST = """[project]
name = "one-file"
[io.files]
type = "fs"
root = "out"
[asset.copy]
command = ["cp", "assets.toml", "{{ output }}"]
sources = ["assets.toml", "big.bin"]
format = "txt"
"""


def generate(folder, size):
    piece = os.urandom(PIECE)
    with open(folder / "big.bin", "wb") as file:
        for start in range(0, size, PIECE):
            file.write(piece[: size - start])
    (folder / "assets.toml").write_text(MANIFEST)


def installed(commands):
    for name in [name for name, it in commands.items() if shutil.which(it[0]) is None]:
        print(f"left out: {name} is not installed")
        del commands[name]
    return commands


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--assets", default="target/release/assets")
    options.add_argument("--size", type=int, default=1_000_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--b3sum", default="b3sum")
    asked = options.parse_args()
    binary = pathlib.Path(asked.assets).resolve()
    if not binary.exists():
        sys.exit(f"{binary} is not there: build it, or say where it is with --assets")
    measure.start_ready()
    commands = installed({
        "assets": [str(binary), "status", "-q", "--verify"],
        "b3sum": [asked.b3sum, "big.bin"],
        "b3sum -1": [asked.b3sum, "--num-threads", "1", "big.bin"],
        "openssl sha256": ["openssl", "dgst", "-sha256", "big.bin"],
        "sha256sum": ["sha256sum", "big.bin"],
        "cksum": ["cksum", "big.bin"],
        "cat": ["cat", "big.bin"],
    })
    anchor = "b3sum" if "b3sum" in commands else "cat"
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        generate(folder, asked.size)
        measure.cost([str(binary), "materialize", "-q"], folder)
        seen = measure.race(commands, folder, asked.rounds)
        measure.tell(f"{asked.size:,} bytes in one file, hashed", seen, anchor)
        print(f"\n  {'':20}{'GB/s':>10}{'GB/CPU s':>10}")
        for name, it in seen.items():
            print(f"  {name:20}{asked.size / it.wall_s / 1e9:10.2f}{asked.size / it.cpu_s / 1e9:10.2f}")


if __name__ == "__main__":
    main()
