# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python of the tree under ruff and mypy, as pyproject.toml sets them up."""

import sys

import pytest

from panicast_build.paths import ROOT
from panicast_build.run import run


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
