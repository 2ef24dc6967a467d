# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv test and ./inv lint: one run of pytest, whose last line says how it went."""

from __future__ import annotations

import os
import sys

from panicast_build.core import tools
from panicast_build.core.paths import ROOT

# In the order of their cost, in which one process runs them: what fails early is known early.
UNIT = ("tests/unit",)
LINT = ("tests/lint",)
RECEIVER = ("tests/fuzz", "tests/servers", "tests/endurance", "tests/web")
EVERYTHING = (*LINT, *UNIT, *RECEIVER, "tests/package", "tests/smoke")
# Most tests keep one CPU busy, if that. What stays together says tests/conftest.py.
PARALLEL = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile", "--no-loadscope-reorder")


def _pytest(*arguments: str) -> None:
    """Replaces this process by pytest. Its exit code becomes that of the task."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])


def test(unit: bool, explore: bool, nightly: bool) -> None:
    """Runs the unit tests, or everything but what is left to the night, or that, too."""
    tools.need("gcc", "gpg", "ip", "unshare")
    options = [*(["--hypothesis-profile=explore"] if explore else []), *(["--nightly"] if nightly else [])]
    _pytest(*options, *(UNIT if unit else (*PARALLEL, *EVERYTHING)))


def lint() -> None:
    """Runs the linters."""
    _pytest(*LINT)
