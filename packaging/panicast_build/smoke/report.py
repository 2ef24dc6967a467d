# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes what remains of a smoke test: smoke.json, and its guests' logs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from panicast_build.core import files, progress
from panicast_build.core.errors import tail
from panicast_build.smoke.repo import Package

TAIL_LINES = 30
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b.")


@dataclass
class Report:
    """The contents of smoke.json.

    kernel says which one crashes. result is "pass" or "fail", failure says why. seconds are wall
    clock. records are the panics as in `panicast-receiver list --json`. kernels are release names
    by guest. root is whose file system the guests have.
    """

    distro: str
    kernel: str
    root: str
    nic: str
    qemu: str
    accelerator: str
    packages: list[dict[str, str]]
    logs: str
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    result: str = "fail"
    failure: str = "ended before its time"
    seconds: float = 0.0
    kernels: dict[str, str] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Times a step and shows it, even if it fails."""
        started = time.monotonic()
        try:
            with progress.step(f"smoke: {text}", log=Path(self.logs)):
                yield
        finally:
            seconds = round(time.monotonic() - started, 1)
            self.steps.append({"step": text, "seconds": seconds})
            self.seconds = round(self.seconds + seconds, 1)

    def write(self, dest: Path) -> None:
        """Writes the report to dest, atomically."""
        files.write(dest, json.dumps(asdict(self), indent=2) + "\n")


def describe(packages: Sequence[Package]) -> list[dict[str, str]]:
    """Returns the packages under test, for the report."""
    return [
        {"name": built.name, "version": built.version, "file": built.path.name, "sha256": built.sha256}
        for built in packages
    ]


def printable(line: str) -> str:
    """Returns a console's line without escape sequences that move the cursor or set colours."""
    return "".join(character for character in CONTROL.sub("", line) if character.isprintable())


def show_consoles(consoles: Sequence[Path]) -> None:
    """Prints each guest's last serial lines, and where all of them are."""
    for console in consoles:
        progress.say(f"--- {console.stem}, the end of {console}")
        for line in filter(None, map(printable, tail(console, TAIL_LINES))):
            progress.say(f"  | {line}")
