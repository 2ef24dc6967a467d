# SPDX-License-Identifier: GPL-2.0-or-later
"""The two ways in which a task may fail, and the one place that reports them to the user."""

from __future__ import annotations

import re
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from docker.errors import DockerException

from panicast_build.core.paths import LOGS

LOG_TAIL_LINES = 20
# What make says of a target that failed; of many jobs the others then go on for hundreds of lines.
FAILED_TARGET = re.compile(r"make(\[\d+\])?: \*\*\* ")
CAUSE_LINES = 10
EXIT_BUILD, EXIT_USER = 1, 2
# What shells give for a command that a signal ended: this and the signal's number.
EXIT_SIGNAL = 128


class UserError(Exception):
    """Something the user can fix: the message says what is wrong, hint what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BuildError(Exception):
    """A build or a test has failed; log is the file with all of its output."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log


class Terminated(KeyboardInterrupt):
    """The task got this signal, which did not come from the keyboard."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _lines(log: Path) -> Iterator[str]:
    """Returns the lines of log; none if it cannot be read."""
    with suppress(OSError), log.open(encoding="utf-8", errors="replace") as text:
        for line in text:
            yield line.rstrip("\n")


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> list[str]:
    """Returns the last lines of log; none if it cannot be read."""
    return list(deque(_lines(log), maxlen=lines))


def cause(log: Path, lines: int = CAUSE_LINES) -> list[str]:
    """Returns make's line for the first target that failed and the lines before it, `lines` in all;
    none if make reported no failure."""
    before: deque[str] = deque(maxlen=lines)
    for line in _lines(log):
        before.append(line)
        if FAILED_TARGET.match(line):
            return list(before)
    return []


def excerpt(log: Path) -> list[str]:
    """Returns the parts of a log that show why something failed: its end, and the first failure of
    make."""
    end, first = tail(log), cause(log)
    return end if not first or first[-1] in end else [*first, "[…]", *end]


@contextmanager
def reported() -> Iterator[None]:
    """Prints a task's expected failures on stderr and exits: 2 for a user's mistake, 1 for a failed
    build, 130 for Ctrl-C, 143 for SIGTERM."""
    try:
        yield
    except UserError as error:
        print(f"panicast: {error}", file=sys.stderr)
        if error.hint:
            print(f"          {error.hint}", file=sys.stderr)
        sys.exit(EXIT_USER)
    except BuildError as error:
        for line in excerpt(error.log):
            print(f"  | {line}", file=sys.stderr)
        print(f"panicast: {error}\n          whole log: {error.log}", file=sys.stderr)
        sys.exit(EXIT_BUILD)
    except DockerException as error:
        print(f"panicast: the container engine failed: {error}", file=sys.stderr)
        print(f"          if it is our own, its log is {LOGS / 'dockerd.log'}", file=sys.stderr)
        sys.exit(EXIT_BUILD)
    except Terminated as end:
        print(f"panicast: ended by {signal.Signals(end.number).name}", file=sys.stderr)
        sys.exit(EXIT_SIGNAL + end.number)
    except KeyboardInterrupt:
        print("panicast: interrupted", file=sys.stderr)
        sys.exit(EXIT_SIGNAL + signal.SIGINT)
