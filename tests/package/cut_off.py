# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command on a test machine and kills it, with all that it started, at a point that can be seen.

Exit status: 0, it was killed there; 3, it ended before the point was seen.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL_SECONDS = 0.002
PR_SET_CHILD_SUBREAPER = 36
NEVER_SEEN = 3

parser = argparse.ArgumentParser()
parser.add_argument("--seen", metavar="GLOB", help="the point: a file has appeared")
parser.add_argument("--gone", metavar="GLOB", help="the point: the last such file has gone")
parser.add_argument("--said", nargs=2, metavar=("FILE", "WORDS"), help="the point: a log got these words")
parser.add_argument("--later", type=float, default=0.0, help="seconds after that")
parser.add_argument("--only", metavar="NAME", help="kill only what runs under this name, let the rest end")
parser.add_argument("--compiling", action="store_true", help="all is compiled, nothing taken from ccache")
parser.add_argument("command", nargs=argparse.REMAINDER)
options = parser.parse_args()


def exists(pattern):
    return any(Path("/").glob(pattern.lstrip("/")))


def read(path):
    return Path(path).read_text() if Path(path).exists() else ""


def reached():
    if options.seen:
        return exists(options.seen)
    if options.gone:
        return not exists(options.gone)
    return options.said[1] in read(options.said[0])[len(before) :]


def children():
    """Of every process, those that it has started and that still run: (pid, name)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, rest = path.read_text().split(" (", 1)
            name, numbers = rest.rsplit(") ", 1)
            state, parent = numbers.split()[:2]
            if state != "Z":
                found.setdefault(int(parent), []).append((int(pid), name))
    return found


def descendants():
    """All that came of the command, parents first."""
    of, found, ahead = children(), [], [os.getpid()]
    while ahead:
        new = of.get(ahead.pop(0), [])
        found += new
        ahead += [pid for pid, _ in new]
    return found


def send(number, processes):
    for pid, _ in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_all():
    """None of them sees another one die, as none would if the power went."""
    stopped = []
    while (now := descendants()) != stopped:
        send(signal.SIGSTOP, now)
        stopped = now
    send(signal.SIGKILL, stopped)


def kill_only(name):
    victims = [process for process in descendants() if process[1] == name]
    if not victims:
        sys.exit(NEVER_SEEN)
    send(signal.SIGKILL, victims)


# What loses its parent becomes ours, so that it is still found.
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
before = read(options.said[0]) if options.said else ""
# The point is in the compiler's time: that is as long as a user's.
if options.compiling:
    os.environ["CCACHE_DISABLE"] = "1"
running = subprocess.Popen(options.command)
while not reached():
    if running.poll() is not None:
        sys.exit(NEVER_SEEN)
    time.sleep(POLL_SECONDS)
time.sleep(options.later)
if running.poll() is not None:
    sys.exit(NEVER_SEEN)
if options.only:
    kill_only(options.only)
else:
    kill_all()
# What was spared goes on to its end.
with contextlib.suppress(ChildProcessError):
    while True:
        os.wait()
