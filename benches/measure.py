"""What a command costs: CPU time, wall time and peak memory. Does not know what is measured, or why.

CPU time is user and system time, children included. Peak memory is that of the largest single process: the kernel counts what a
process held before `exec` too, so commands are started from a small shell and inherited from it, not from this interpreter.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

PR_SET_CHILD_SUBREAPER = 36
SHELL = 'exec 3>&1 4<&0 >/dev/null; (read -r go <&4; exec "$@" </dev/null 3>&- 4<&-) & echo $! >&3'


@dataclass
class Cost:
    cpu_s: float
    wall_s: float
    peak_mb: float
    start_ns: int


class TooSlow(Exception):
    """The command was ended because it took longer than it was given."""


def start_ready():
    """To be called once: commands whose shell is gone become children of this process."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) != 0:
        sys.exit("this needs Linux: the kernel refused to hand over orphaned children")
    os.environ["ASSETS_PROGRESS"] = "none"


def cost(command, folder, limit_s=None):
    """Run `command` in `folder` and wait for it; any exit status but 0 ends the measurement with what was said."""
    complaints = os.memfd_create("complaints")
    shell = subprocess.Popen(
        ["sh", "-c", SHELL, "sh", *map(str, command)],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, start_new_session=True,
    )
    pid = int(shell.stdout.readline())
    # The command waits for a word: once its shell is gone it is a child of this process, and nobody else's to wait for.
    os.waitpid(shell.pid, 0)
    start, start_ns = time.monotonic(), time.time_ns()
    shell.stdin.write(b"go\n")
    shell.stdin.close()
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(shell.pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, limit_s or 0)
    _, status, used = os.wait4(pid, 0)
    wall_s = time.monotonic() - start
    signal.setitimer(signal.ITIMER_REAL, 0)
    if limit_s and wall_s >= limit_s:
        raise TooSlow
    if status != 0:
        said = os.pread(complaints, 1 << 20, 0).decode(errors="replace")[-1500:]
        sys.exit(f"{' '.join(map(str, command))} ended with {os.waitstatus_to_exitcode(status)}: {said}")
    os.close(complaints)
    return Cost(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 1024, start_ns)


def race(commands, folder, rounds=1, before=None, limit_s=None):
    """Costs by name, the cheapest of `rounds`; in each round every command has its turn, so that all have the same weather.

    `before` is called ahead of each round. What is too slow is told and left out.
    """
    found = {}
    commands = dict(commands)
    for _ in range(rounds):
        if before:
            before()
        for name, command in list(commands.items()):
            try:
                seen = cost(command, folder, limit_s)
            except TooSlow:
                print(f"  left out: {name} took more than {limit_s:.0f} s", flush=True)
                del commands[name]
                continue
            if name not in found or seen.cpu_s < found[name].cpu_s:
                found[name] = seen
    return found


def tell(title, costs, anchor):
    """A table of `costs`, each with its ratio to the CPU time of the row named `anchor`."""
    print(f"\n{title}\n  {'':20}{'CPU ms':>10}{'wall ms':>10}{'peak MB':>9}{'to ' + anchor:>16}")
    for name, it in costs.items():
        ratio = f"{it.cpu_s / costs[anchor].cpu_s:.2f}" if anchor in costs else "-"
        print(f"  {name:20}{it.cpu_s * 1000:10.1f}{it.wall_s * 1000:10.1f}{it.peak_mb:9.1f}{ratio:>16}", flush=True)
