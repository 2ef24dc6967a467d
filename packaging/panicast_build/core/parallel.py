# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one task for many targets in parallel; a failure does not stop the others.

Each target is a process with a log of its own. Ctrl-C and signals reach it as well.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build.core import progress
from panicast_build.core.errors import BuildError, UserError, tail
from panicast_build.core.paths import LOGS, ROOT
from panicast_build.core.run import run

SAYS = "panicast: "
WIDE = 140


@dataclass(frozen=True)
class TargetOutcome:
    """The result for one target: whether it failed, its error's words, and its seconds."""

    target: str
    failed: bool
    seconds: float
    log: Path

    @property
    def words(self) -> str:
        """Returns the error's line; "" if there is none."""
        said = [line for line in tail(self.log, 60) if line.startswith(SAYS)]
        return said[-1].removeprefix(SAYS) if said and self.failed else ""


def run_all(task: str, targets: Sequence[str], options: Sequence[str], jobs: int) -> None:
    """Runs ./inv TASK --distro TARGET OPTIONS for each target, jobs at a time (0: one for each
    CPU), and shows a table of the results. Raises BuildError, with the log of the first that
    failed."""
    if jobs < 0:
        raise UserError(f"--jobs must be 0 or more, not {jobs}", "0 means one for each CPU")
    LOGS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(lambda target: _one(task, target, options), targets))
    show(task, outcomes)
    if failed := [outcome for outcome in outcomes if outcome.failed]:
        names = ", ".join(outcome.target for outcome in failed)
        raise BuildError(f"{len(failed)} of {len(outcomes)} targets failed: {names}", failed[0].log)


def _one(task: str, target: str, options: Sequence[str]) -> TargetOutcome:
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), task, "--distro", target, *options]
    path, started = LOGS / f"{task}-{target}.log", time.monotonic()
    try:
        with progress.step(f"{task} for {target}", log=path), path.open("w") as log:
            run(argv, log=log)
        failed = False
    except BuildError:
        failed = True
    return TargetOutcome(target, failed, round(time.monotonic() - started, 1), path)


def show(task: str, outcomes: Sequence[TargetOutcome]) -> None:
    """Prints the table."""
    table = Table("target", "result", "seconds", "why, and the whole log", box=SIMPLE, title=f"./inv {task}")
    for outcome in outcomes:
        result = "[red]failed[/]" if outcome.failed else "[green]ok[/]"
        why = f"{outcome.words}\n{outcome.log}" if outcome.failed else ""
        table.add_row(outcome.target, result, f"{outcome.seconds:.1f}", why)
    out = Console()
    if not out.is_terminal:
        out.width = WIDE
    out.print(table)
