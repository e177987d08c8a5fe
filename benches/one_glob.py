#!/usr/bin/env python3
"""A million source files in one pattern of one asset, ten of them changed: beside `git status` of the same files.

    cargo build --release
    benches/one_glob.py [--assets target/release/assets] [--files 1000000] [--rounds 3]

Files lie in folders of 1,000. The first look reads every file; after it only what changed is to be read. The folder is temporary
(TMPDIR says where) and takes some 4 GB for a million files. Only the Python standard library is needed.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import measure

IN_FOLDER = 1_000
CHANGED = 10
MANIFEST = """[project]
name = "one-glob"
[io.files]
type = "fs"
root = "out"
[asset.all]
command = ["cp", "assets.toml", "{{ output }}"]
sources = ["assets.toml", "raw/**/*.txt"]
format = "txt"
"""


def name(index):
    return f"raw/{index // IN_FOLDER:04}/f{index % IN_FOLDER:03}.txt"


def generate(folder, count):
    for first in range(0, count, IN_FOLDER):
        (folder / name(first)).parent.mkdir(parents=True)
        for index in range(first, min(first + IN_FOLDER, count)):
            (folder / name(index)).write_text(f"of folder {first}\n")  # git keeps equal files once: a thousand objects, not a million
    (folder / "assets.toml").write_text(MANIFEST)
    (folder / ".gitignore").write_text("/.assets\n/out\n")


def change(folder, count, round):
    for index in range(0, count, count // CHANGED):
        (folder / name(index)).write_text(f"round {round}\n")
    time.sleep(0.1)  # a file as young as the clock's last tick is read again by a tool that is careful


def measured(binary, folder, count, rounds):
    git = ["git", "-c", "user.name=nobody", "-c", "user.email=", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    first = {"assets": [binary, "materialize", "-q"], "git add": [*git, "add", "."]}
    measure.tell(f"{count:,} files: first look, everything is read", measure.race(first, folder), "git add")
    subprocess.run([*git, "commit", "-qm", "all"], cwd=folder, check=True)
    asked = {
        "assets": [binary, "status", "-q", "--exit-zero"],
        "git status": [*git, "status", "--porcelain"],
        "git update-index": [*git, "update-index", "-q", "--refresh"],
    }
    measure.tell(f"{count:,} files: no-op", measure.race(asked, folder, rounds), "git status")
    edits = iter(range(rounds))
    seen = measure.race(asked, folder, rounds, before=lambda: change(folder, count, next(edits)))
    measure.tell(f"{count:,} files: {CHANGED} changed", seen, "git status")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--assets", default="target/release/assets")
    options.add_argument("--files", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    binary = pathlib.Path(asked.assets).resolve()
    if not binary.exists():
        sys.exit(f"{binary} is not there: build it, or say where it is with --assets")
    measure.start_ready()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        generate(folder, asked.files)
        measured(str(binary), folder, asked.files, asked.rounds)


if __name__ == "__main__":
    main()
