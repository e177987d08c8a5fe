"""The layered graph, written down for each tool. Does not know how the tools are called.

Width 100, one 64-byte source file for each asset and two upstream assets, command `cp`. All tools read `src/` and each writes
to a folder of its name.
"""

import json

WIDTH = 100


def upstream(index):
    layer, column = divmod(index, WIDTH)
    if layer == 0:
        return []
    below = (layer - 1) * WIDTH
    return [below + column, below + (column + 1) % WIDTH]


def write_sources(folder, count):
    (folder / "src").mkdir(parents=True)
    for i in range(count):
        (folder / "src" / f"s{i}.txt").write_text(f"{i:063d}\n")


def write_assets(folder, count):
    toml = ['[project]\nname = "layered"\n[io.files]\ntype = "fs"\nroot = "assets"\n']
    for i in range(count):
        names = ", ".join(f'"n{d}"' for d in upstream(i))
        toml.append(
            f'[asset.n{i}]\ncommand = ["cp", "src/s{i}.txt", "{{{{ output }}}}"]\n'
            f'sources = ["src/s{i}.txt"]\ndeps = [{names}]\nformat = "txt"\n'
        )
    (folder / "assets.toml").write_text("".join(toml))


def files(tool, index):
    return " ".join([f"src/s{index}.txt", *(f"{tool}/n{d}.txt" for d in upstream(index))])


def write_ninja(folder, count):
    text = ["rule cp\n command = cp $first $out\n"]
    text += (f"build ninja/n{i}.txt: cp {files('ninja', i)}\n first = src/s{i}.txt\n" for i in range(count))
    (folder / "build.ninja").write_text("".join(text))


def write_make(folder, count):
    text = ["all: " + " ".join(f"make/n{i}.txt" for i in range(count)) + "\nnothing:\n"]
    text += (f"make/n{i}.txt: {files('make', i)}\n\tcp src/s{i}.txt $@\n" for i in range(count))
    (folder / "Makefile").write_text("".join(text))


def write_dvc(folder, count):
    stages = {
        f"n{i}": {"cmd": f"cp src/s{i}.txt dvc/n{i}.txt", "deps": files("dvc", i).split(), "outs": [f"dvc/n{i}.txt"]}
        for i in range(count)
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))


def write_snakemake(folder, count):
    text = ["rule all:\n  input: " + ", ".join(f"'snakemake/n{i}.txt'" for i in range(count)) + "\n"]
    for i in range(count):
        named = ", ".join(f"'{it}'" for it in files("snakemake", i).split())
        text.append(f"rule n{i}:\n  input: {named}\n  output: 'snakemake/n{i}.txt'\n  shell: 'cp {{input[0]}} {{output}}'\n")
    (folder / "Snakefile").write_text("".join(text))


def write_doit(folder, count):
    tasks = [
        {
            "basename": f"n{i}",
            "actions": [f"cp src/s{i}.txt doit/n{i}.txt"],
            "file_dep": files("doit", i).split(),
            "targets": [f"doit/n{i}.txt"],
        }
        for i in range(count)
    ]
    (folder / "dodo.py").write_text(f"TASKS = {json.dumps(tasks, indent=1)}\n\n\ndef task_layered():\n    yield from TASKS\n")
