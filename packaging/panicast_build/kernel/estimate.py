# SPDX-License-Identifier: GPL-2.0-or-later
"""Says what a kernel build needs, refuses if there is not enough room, and follows its progress."""

from __future__ import annotations

import re
from collections.abc import Callable

from panicast_build.core import progress
from panicast_build.core.errors import UserError
from panicast_build.core.progress import Step
from panicast_build.engine.container import Container
from panicast_build.kernel.config import Config

GIB = 2**30
COMPILED = re.compile(r"^ +(?:CC|AS)(?: \[M\])? +(\S+)$", re.MULTILINE)
# Where no terminal shows a line that moves: a line for each of these shares.
TOLD_PERCENT = 10


def announce(box: Container, folder: str, config: Config, debug_info: bool, jobs: int) -> None:
    """Says what a build in folder of box needs. Raises UserError if the disk is too small."""
    gib = config.debug_gib if debug_info else config.gib
    minutes = config.debug_cpu_minutes if debug_info else config.cpu_minutes
    free = int(box.run(["df", "--output=avail", "--block-size=1", folder]).output.split()[-1])
    refuse_without(gib, free)
    progress.say(
        f"needs about {minutes} minutes of CPU time, on an idle machine "
        f"{progress.duration(minutes * 60 / jobs)} with {jobs} jobs, if nothing is in ccache; "
        f"{gib} GiB of {free / GIB:.0f} free GiB"
    )


def refuse_without(gib: int, free: int) -> None:
    """Raises UserError unless gib GiB fit into free bytes."""
    if free < gib * GIB:
        raise UserError(
            f"this kernel build needs about {gib} GiB, and {free / GIB:.1f} GiB are free where the container "
            "engine keeps its containers",
            "free some there, or move it: PANICAST_CACHE for the pipeline's own engine; a smaller build is "
            "--config smoke, or one without --debug-info",
        )


def follower(step: Step, objects: int) -> Callable[[str], None]:
    """Returns a function that reads a build's output and shows on step how far it is, of about so
    many objects."""
    done, told, rest = 0, 0, ""

    def follow(text: str) -> None:
        nonlocal done, told, rest
        # A chunk may end within a line.
        whole, newline, rest = (rest + text).rpartition("\n")
        names = COMPILED.findall(whole + newline)
        if not names:
            return
        done += len(names)
        percent = min(99, 100 * done // objects)
        step.detail = f"{percent} %, {names[-1]}"
        if percent >= told + TOLD_PERCENT:
            told = percent - percent % TOLD_PERCENT
            if not progress.console.is_terminal:
                progress.say(f"  {told} %, {names[-1]}")

    return follow
