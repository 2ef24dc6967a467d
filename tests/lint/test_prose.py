# SPDX-License-Identifier: GPL-2.0-or-later
"""What people read: spelled right, no line wider than a diff shows, and a licence for every file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from panicast_build.build import source
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run

WIDTH = 100
PAGES = sorted(name for name in source.files(".") if name.endswith(".md"))
# What cannot be wrapped: tables, addresses, and the lines of a template that are no text.
UNBREAKABLE = re.compile(r"\s*\||.*https?://|.*\]\(|\s*\{%")


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_every_file_has_a_licence() -> None:
    result = run([tool("reuse"), "--root", ROOT, "lint"], check=False)
    assert result.code == 0, result.output


def test_spelling() -> None:
    words = [str(path) for name, path in source.files(".").items() if not name.endswith((".lock", ".json"))]
    result = run([tool("codespell"), "--toml", ROOT / "pyproject.toml", *words], check=False)
    assert result.code == 0, result.output


@pytest.mark.parametrize("page", PAGES)
def test_width(page: str) -> None:
    """Of the text between blocks of code."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
    wide = [line for line in text.splitlines() if len(line) > WIDTH and not UNBREAKABLE.match(line)]
    assert not wide
