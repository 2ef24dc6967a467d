# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python of the tree under ruff, mypy and import-linter, as pyproject.toml sets them up."""

import os
import sys
from pathlib import Path

import pytest

from panicast_build.core.paths import ROOT
from panicast_build.core.run import run


@pytest.mark.parametrize(
    "argv",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy"],
        ["mypy", "--config-file", "receiver/pyproject.toml", "receiver/src/panicast_receiver"],
    ],
    ids=["ruff", "format", "mypy-pipeline", "mypy-receiver"],
)
def test_python(argv: list[str]) -> None:
    result = run([sys.executable, "-m", *argv], cwd=ROOT, check=False)
    assert result.code == 0, result.output


def test_rooms_import_downwards_only() -> None:
    """pyproject.toml lists the rooms of both programs from top to bottom."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    path = os.pathsep.join(str(ROOT / folder) for folder in ("packaging", "receiver/src"))
    result = run([program, "--no-cache"], cwd=ROOT, env={"PYTHONPATH": path}, check=False)
    assert result.code == 0, result.output
