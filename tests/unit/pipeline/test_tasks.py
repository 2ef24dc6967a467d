# SPDX-License-Identifier: GPL-2.0-or-later
"""The tasks as ./inv lists them."""

import re
import sys

from panicast_build.paths import ROOT
from panicast_build.run import run


def inv(*arguments: str) -> str:
    return run([sys.executable, "-m", "invoke", "--search-root", ROOT, *arguments]).output


def test_every_task_is_listed_with_a_summary() -> None:
    # A summary that does not fit on its line goes on further to the right.
    listed = re.findall(r"^  (\w+) +\w", inv("--list"), re.MULTILINE)
    assert listed == ["distros", "lint", "package", "smoke", "test"]


def test_every_argument_has_help() -> None:
    shown = inv("--help", "package")
    for argument in ("--distro", "--component"):
        explained = shown[shown.index(f"{argument}=STRING") :].splitlines()[0]
        assert len(explained.split()) > 4


def test_distros_lists_every_target() -> None:
    shown = inv("distros")
    assert "debian-12" in shown and "debian-13" in shown
