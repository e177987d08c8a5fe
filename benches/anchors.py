#!/usr/bin/env python3
"""Six faults on purpose, for `assets` and for every other tool that is installed, as a table.

    cargo build --release
    benches/anchors.py [--assets target/release/assets] [--peers-bin DIR] [--tools assets,make]

One rule in each tool's own words: `in` is made into `out` by `sh step.sh`. Scenarios:

    A  the input is edited after the command has read it and before the output is written
    B  the tool is killed (SIGKILL) in the middle of an output
    C  the last byte of each file of the tool's state is cut off
    D  an edit of the same size whose modification time is put back
    E  two runs at once
    F  the output is damaged, with its size and time put back

There is no G. A cell says what was seen, and whether that is right: what is there is what it was made
from, no result is lost, nothing is run for nothing, nobody cleans up by hand. Exits with 1 if one cell
of `assets` is not right. Only the Python standard library is needed.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DEADLINE = 120

# Reads, says so, waits until it may go on, writes. The number of its runs is the number of lines of `count`.
SLOW_COPY = """echo run >> control/count
text=$(cat in)
touch control/started
until [ -e control/go ]; do sleep 0.02; done
echo "$text" > "$1"
"""

HALF_FIRST = """echo run >> control/count
echo $$ > control/pid
printf half > "$1"
touch control/started
until [ -e control/go ]; do sleep 0.02; done
cat in > "$1"
"""


class Tool:
    """How a rule is written for a tool, how it is run, and where its state is."""

    setup = []
    repairs = []

    def __init__(self, name, files, run, state, version, **more):
        self.name, self.files, self.run, self.state, self.version = name, files, run, state, version
        for key, value in more.items():
            setattr(self, key, value)


def tools(assets):
    yield Tool(
        "assets",
        {
            "assets.toml": '[project]\nname = "anchors"\n[io.files]\ntype = "fs"\nroot = "."\n'
            '[asset.out]\npath = "out"\nsources = ["in"]\ncode = ["step.sh"]\ncommand = ["sh", "step.sh", "{{ output }}"]\n'
        },
        [assets, "materialize", "-q"],
        [".assets/state.db*", ".assets/journal/*", ".assets/*.idx"],
        [assets, "--version"],
    )
    yield Tool(
        "make",
        {"Makefile": "out: in step.sh\n\tsh step.sh out\n"},
        ["make", "-s", "out"],
        [],
        ["make", "--version"],
    )
    yield Tool(
        "ninja",
        {"build.ninja": "rule step\n command = sh step.sh $out\nbuild out: step in | step.sh\n"},
        ["ninja", "--quiet"],
        [".ninja_log", ".ninja_deps"],
        ["ninja", "--version"],
    )
    yield Tool(
        "dvc",
        {"dvc.yaml": "stages:\n  out:\n    cmd: sh step.sh out\n    deps: [in, step.sh]\n    outs: [out]\n"},
        ["dvc", "repro", "-q"],
        ["dvc.lock"],
        ["dvc", "--version"],
        setup=["dvc", "init", "--no-scm", "-q"],
    )
    yield Tool(
        "snakemake",
        {"Snakefile": 'rule make:\n    input: "in", "step.sh"\n    output: "out"\n    shell: "sh step.sh {output}"\n'},
        ["snakemake", "-q", "-c1"],
        [".snakemake/metadata/*"],
        ["snakemake", "--version"],
        repairs=[["snakemake", "--unlock"], ["snakemake", "-q", "-c1", "--rerun-incomplete"]],
    )
    yield Tool(
        "doit",
        {
            "dodo.py": "def task_out():\n"
            "    return {'actions': ['sh step.sh out'], 'file_dep': ['in', 'step.sh'], 'targets': ['out']}\n"
        },
        ["doit", "-v0"],
        [".doit.db*"],
        ["doit", "--version"],
    )


class Bench:
    """The rule in a folder of its own, built once."""

    def __init__(self, tool, folder, step, environment):
        self.tool, self.folder, self.environment = tool, folder, environment
        (folder / "control").mkdir(parents=True)
        if tool.setup:
            self.call(tool.setup)
        for name, text in {**tool.files, "step.sh": step, "in": "one\n", "control/go": ""}.items():
            (folder / name).write_text(text)
        code = self.call(tool.run)
        if code != 0 or self.out() != "one\n":
            sys.exit(f"{tool.name} does not even build (exit {code}): {self.said()}")
        pause()

    def start(self, command):
        log = open(self.folder / "control/log", "ab")
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def call(self, command):
        return self.start(command).wait(DEADLINE)

    def run(self):
        return self.call(self.tool.run)

    def said(self):
        return (self.folder / "control/log").read_text()[-2000:]

    def out(self):
        path = self.folder / "out"
        return path.read_text() if path.exists() else None

    def count(self):
        path = self.folder / "control/count"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def ran(self):
        """How often the command ran since the last question."""
        count = self.count()
        (self.folder / "control/count").unlink(missing_ok=True)
        return count

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def hold(self):
        """The next command waits when it has begun."""
        (self.folder / "control/go").unlink()
        (self.folder / "control/started").unlink()
        self.ran()

    def go(self):
        self.write("control/go", "")

    def wait_for(self, name):
        wait(lambda: (self.folder / name).exists(), f"{self.tool.name}: {name}")

    def write_unseen(self, name, text):
        path = self.folder / name
        times = path.stat()
        assert len(text) == times.st_size
        path.chmod(times.st_mode | 0o200)
        path.write_text(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def wait(done, what):
    start = time.monotonic()
    while not done():
        if time.monotonic() - start > DEADLINE:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.02)


def pause():
    """Long enough that no time stamp of before is that of after."""
    time.sleep(0.1)


def edited_meanwhile(bench):
    bench.hold()
    bench.write("in", "two\n")
    running = bench.start(bench.tool.run)
    bench.wait_for("control/started")
    pause()
    bench.write("in", "three\n")
    pause()
    bench.go()
    running.wait(DEADLINE)
    if bench.out() == "three\n":
        return "right", "seen, run again at once"
    pause()
    return rerun(bench, "three\n", "run again next time")


def rerun(bench, wanted, told):
    """What the next run makes of it."""
    bench.ran()
    code = bench.run()
    if bench.out() == wanted:
        return "right", told
    if code != 0:
        return "fails", f"the next run ends with {code}"
    return ("wrong fresh", "missed by every further run") if bench.ran() == 0 else ("wrong", "run again, in vain")


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def killed(bench):
    bench.hold()
    bench.write("in", "two\n")
    running = bench.start(bench.tool.run)
    bench.wait_for("control/started")
    child = int((bench.folder / "control/pid").read_text())
    running.kill()
    running.wait()
    start = time.monotonic()
    while alive(child) and time.monotonic() - start < 3:
        time.sleep(0.02)
    survived = alive(child)
    if survived:
        os.kill(child, signal.SIGKILL)
        wait(lambda: not alive(child), "the end of a child")
    seen = {"one\n": "old output kept", "half": "half an output visible", None: "old output gone"}[bench.out()]
    bench.go()
    pause()
    kind, _ = rerun(bench, "two\n", "")
    by_hand = 0
    for repair in bench.tool.repairs:
        if bench.out() != "two\n":
            by_hand += 1
            bench.call(repair)
    if by_hand and bench.out() == "two\n":
        kind, after = "by hand", f"{by_hand} commands to repair it"
    else:
        after = "next run right" if kind == "right" else f"then {bench.out()!r} stays"
    if kind == "right" and seen != "old output kept":
        kind = "old lost"
    elif kind == "right" and survived:
        kind = "child left"
    return kind, ", ".join([seen, "child lives on" if survived else "child ended", after])


def torn(bench):
    files = sorted(it for pattern in bench.tool.state for it in bench.folder.glob(pattern) if it.stat().st_size)
    if not files:
        return "no state", "nothing to tear"
    reruns, failures = 0, 0
    for path in files:
        # One file at a time; some are gone or empty by now.
        if not path.exists() or not path.stat().st_size:
            continue
        bench.ran()
        os.truncate(path, path.stat().st_size - 1)
        for _ in range(2):
            failures += bench.run() != 0
        reruns += bench.ran()
        pause()
    if failures:
        return "fails", "does not start any more"
    if reruns:
        times = {1: "once", 2: "twice"}.get(reruns, f"{reruns} times")
        return "rerun", f"run again {times} for nothing"
    return "right", "nothing run again"


def unseen_edit(bench):
    bench.write_unseen("in", "two\n")
    return rerun(bench, "two\n", "seen")


def two_runs(bench):
    bench.hold()
    bench.write("in", "two\n")
    first = bench.start(bench.tool.run)
    bench.wait_for("control/started")
    second = bench.start(bench.tool.run)
    # Until it has had time to begin, or has given up.
    start = time.monotonic()
    while time.monotonic() - start < 5 and second.poll() is None and bench.count() < 2:
        time.sleep(0.05)
    bench.go()
    codes = [first.wait(DEADLINE), second.wait(DEADLINE)]
    count = bench.ran()
    if count != 1:
        return "wrong", f"the command ran {count} times, side by side"
    if codes != [0, 0]:
        return "refused", "ran once, the second run is an error"
    return "right", "ran once, the second waited"


def damaged(bench):
    bench.write_unseen("out", "eno\n")
    return rerun(bench, "one\n", "seen, made again")


SCENARIOS = [
    ("A input edited meanwhile", edited_meanwhile, SLOW_COPY),
    ("B tool killed mid-output", killed, HALF_FIRST),
    ("C state torn by a byte", torn, SLOW_COPY),
    ("D edit that times do not show", unseen_edit, SLOW_COPY),
    ("E two runs at once", two_runs, SLOW_COPY),
    ("F output damaged unseen", damaged, SLOW_COPY),
]


def version(tool, environment):
    done = subprocess.run(tool.version, env=environment, capture_output=True, text=True, cwd="/")
    words = done.stdout.split("\n")[0].split()
    return next((it for it in words if it[0].isdigit()), "unknown")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--assets", default="target/release/assets")
    options.add_argument("--peers-bin", help="a folder to look for tools in, before PATH")
    options.add_argument("--tools", help="only these, by name")
    asked = options.parse_args()
    assets = pathlib.Path(asked.assets).resolve()
    if not assets.exists():
        sys.exit(f"{assets} is not there: build it, or say where it is with --assets")
    path = os.environ["PATH"]
    if asked.peers_bin:
        path = str(pathlib.Path(asked.peers_bin).resolve()) + os.pathsep + path
    wanted = asked.tools.split(",") if asked.tools else None
    columns, heads = [], []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch).resolve()
        environment = {"PATH": path, "HOME": str(scratch), "LANG": "C.UTF-8", "DVC_NO_ANALYTICS": "1"}
        environment["DVC_SITE_CACHE_DIR"] = str(scratch / "site-cache")
        for tool in tools(str(assets)):
            if wanted and tool.name not in wanted:
                continue
            if shutil.which(tool.run[0], path=path) is None:
                print(f"left out: {tool.name} is not installed", file=sys.stderr)
                continue
            column = []
            for title, scenario, step in SCENARIOS:
                column.append(scenario(Bench(tool, scratch / tool.name / title[0], step, environment)))
                print(f"{tool.name}, {title}: {': '.join(column[-1])}", file=sys.stderr)
            columns.append(column)
            heads.append(f"{tool.name} {version(tool, environment)}")
    print("| | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * len(heads))
    for row, (title, _, _) in enumerate(SCENARIOS):
        print(f"| {title} | " + " | ".join(f"**{kind}**: {told}" for kind, told in (it[row] for it in columns)) + " |")
    ours = [column for head, column in zip(heads, columns) if head.startswith("assets ")]
    return 0 if ours and all(kind == "right" for column in ours for kind, _ in column) else 1


if __name__ == "__main__":
    sys.exit(main())
