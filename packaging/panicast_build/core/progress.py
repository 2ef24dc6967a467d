# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows which step runs, for how long, and where its log is: a live line on a terminal, plain lines
elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

console = Console(stderr=True, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Returns a duration with useful precision: 4.2 s, 75 s, 12 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def say(text: str) -> None:
    """Prints one plain line."""
    console.print(escape(text))


@dataclass
class Step:
    """A step in progress; detail says how far it is, for a terminal's line."""

    text: str
    detail: str = ""


@contextmanager
def step(text: str, log: Path | None = None) -> Iterator[Step]:
    """Shows that the step `text` runs, and at its end how long it took or that it failed."""
    started = time.monotonic()
    if not console.is_terminal:
        say(f"… {text}")
    done = Step(text)
    try:
        with _live(done, log, started):
            yield done
    except BaseException:
        console.print(f"[red]✗[/] {escape(text)} ({duration(time.monotonic() - started)})")
        raise
    console.print(f"[green]✓[/] {escape(text)} ({duration(time.monotonic() - started)})")


@contextmanager
def _live(step: Step, log: Path | None, started: float) -> Iterator[None]:
    """Yields the moving line of a running step; nested steps have a line each."""
    if not console.is_terminal:
        yield
        return
    where = f"  [dim]{escape(str(log))}[/]" if log else ""
    done = threading.Event()

    def tick(status: Status) -> None:
        while not done.wait(1):
            far = f"{step.text} {step.detail}".rstrip()
            status.update(f"{escape(far)} [dim]{duration(time.monotonic() - started)}[/]{where}")

    with console.status(f"{escape(step.text)}{where}") as status:
        ticker = threading.Thread(target=tick, args=(status,), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()
