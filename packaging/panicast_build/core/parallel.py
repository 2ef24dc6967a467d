# SPDX-License-Identifier: GPL-2.0-or-later
"""The same task for many targets, side by side: one that fails does not stop the others.

Each target is a process of its own, which Ctrl-C or a kill reaches as it does us, and has a log of its own.
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
class Outcome:
    """How it went for a target: whether it failed, and in which words; the seconds."""

    target: str
    failed: bool
    seconds: float
    log: Path

    @property
    def words(self) -> str:
        """The error's line; "" for none."""
        said = [line for line in tail(self.log, 60) if line.startswith(SAYS)]
        return said[-1].removeprefix(SAYS) if said and self.failed else ""


def run_all(task: str, targets: Sequence[str], options: Sequence[str], jobs: int) -> None:
    """Runs ./inv TASK --distro TARGET OPTIONS for each target, jobs (0: one on each CPU) at a time, and shows
    a table of how it went; BuildError, with the log of the first that failed, if one did."""
    if jobs < 0:
        raise UserError(f"--jobs must be 0 or more, not {jobs}", "0 means one on each CPU")
    LOGS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(lambda target: _one(task, target, options), targets))
    show(task, outcomes)
    if failed := [outcome for outcome in outcomes if outcome.failed]:
        names = ", ".join(outcome.target for outcome in failed)
        raise BuildError(f"{len(failed)} of {len(outcomes)} targets failed: {names}", failed[0].log)


def _one(task: str, target: str, options: Sequence[str]) -> Outcome:
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), task, "--distro", target, *options]
    path, started = LOGS / f"{task}-{target}.log", time.monotonic()
    try:
        with progress.step(f"{task} for {target}", log=path), path.open("w") as log:
            run(argv, log=log)
        failed = False
    except BuildError:
        failed = True
    return Outcome(target, failed, round(time.monotonic() - started, 1), path)


def show(task: str, outcomes: Sequence[Outcome]) -> None:
    """The table, on standard output."""
    table = Table("target", "result", "seconds", "why, and the whole log", box=SIMPLE, title=f"./inv {task}")
    for outcome in outcomes:
        result = "[red]failed[/]" if outcome.failed else "[green]ok[/]"
        why = f"{outcome.words}\n{outcome.log}" if outcome.failed else ""
        table.add_row(outcome.target, result, f"{outcome.seconds:.1f}", why)
    out = Console()
    if not out.is_terminal:
        out.width = WIDE
    out.print(table)
