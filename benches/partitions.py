#!/usr/bin/env python3
"""A million partition keys: what `status` and a plan of ten stale ones cost.

    cargo build --release
    benches/partitions.py [--assets target/release/assets] [--asset-count 20] [--keys 50000] [--recorded 500] [--apart 1]

Assets in a row, each cut into hours, of which the last are recorded: they are really made, which takes a while. Then nothing has
changed, ten outputs are changed by hand (each is stale, and what is below it waits for it), and one source file comes late. The
goals: `status` within 1.5 s of CPU and 300 MB, the plan within 100 ms of CPU more. Only the Python standard library is needed.
"""

import argparse
import datetime
import pathlib
import tempfile

import measure


def hour(at):
    return at.strftime("%Y-%m-%dT%H")


def write(folder, assets, keys, recorded, apart):
    end = datetime.datetime(2025, 9, 15)
    start = end - datetime.timedelta(hours=keys)
    text = [
        '[project]\nname = "bench"\ndurability = "off"\n\n[partitions.hourly]\ntype = "time"\nevery = "hour"\n'
        f'start = "{start:%Y-%m-%dT%H:%M}"\nend = "{end:%Y-%m-%dT%H:%M}"\n\n'
        '[source.raw]\nfiles = ["raw/{{ partition.key }}.txt"]\npartitions = "hourly"\n'
    ]
    for it in range(assets):
        dep = f"a{it - 1}" if it else "raw"
        text.append(
            f"[asset.a{it}]\ncommand = \"cat {{{{ inputs.{dep} }}}} > {{{{ output }}}}\"\ndeps = [\"{dep}\"]\n"
            'format = "txt"\npartitions = "hourly"\n'
        )
    (folder / "assets.toml").write_text("\n".join(text))
    (folder / "raw").mkdir()
    made = [end - datetime.timedelta(hours=it * apart) for it in range(recorded, 0, -1)]
    for at in made:
        (folder / "raw" / f"{hour(at)}.txt").write_text(hour(at))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=pathlib.Path, default="target/release/assets")
    parser.add_argument("--asset-count", type=int, default=20)
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--recorded", type=int, default=500)
    parser.add_argument("--apart", type=int, default=1, help="hours from one that is recorded to the next")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=pathlib.Path, help="a folder to leave the project in")
    asked = parser.parse_args()
    measure.start_ready()
    binary = str(asked.assets.resolve())
    # Nothing is fresh as a whole: that is what these say by their exit status.
    said = ["sh", "-c", '"$0" "$@"; test $? -le 3', binary]
    with tempfile.TemporaryDirectory(prefix="assets-bench-") as scratch:
        folder = pathlib.Path(asked.keep or scratch)
        folder.mkdir(exist_ok=True)
        made = write(folder, asked.asset_count, asked.keys, asked.recorded, asked.apart)
        built = measure.cost([binary, "materialize", "-q", "-j2"], folder)
        total = asked.asset_count * asked.keys
        print(f"{total} keys, {asked.asset_count * asked.recorded} recorded: {built.cpu_s:.0f} s of CPU to make them")
        commands = {"status": [*said, "status", "-q"], "plan": [*said, "plan"], "no-op": [*said, "materialize", "-q"]}
        found = measure.race(commands, folder, asked.rounds)
        measure.tell("nothing has changed", found, "status")
        for at in made[:: max(1, len(made) // 10)][:10]:
            (folder / "data" / "a5" / f"{hour(at)}.txt").write_text("by hand")
        stale = {it: commands[it] for it in ("status", "plan")}
        measure.tell("ten were changed by hand", measure.race(stale, folder, asked.rounds), "status")
        (folder / "raw" / f"{hour(made[3])}.txt").write_text("late")
        measure.tell("and a file came late", measure.race(stale, folder, asked.rounds), "status")


if __name__ == "__main__":
    main()
