# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of the night: a run leaves them out and says so, and one that asks for them has all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ...waiting import PATIENCE_S

PLUGIN = Path(__file__).parents[2] / "nightly.py"
CONFTEST = """
from nightly import Nightly

def pytest_addoption(parser):
    parser.addoption("--nightly", action="store_true")

def pytest_configure(config):
    config.pluginmanager.register(Nightly(config))
"""
TESTS = """
import pytest
from nightly import rows

@pytest.mark.parametrize(("a", "b"), rows({"one": (1, 1), "two": (2, 2), "three": (3, 3)}, {"two"}))
def test_row(a, b):
    assert a == b
"""


@pytest.fixture
def run(tmp_path: Path):
    """run(arguments): what pytest says of three tests, two of them nightly."""
    shutil.copy(PLUGIN, tmp_path)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = nightly\naddopts = --strict-markers\n")

    def run(*arguments: str) -> str:
        argv = [sys.executable, "-m", "pytest", *arguments]
        ran = subprocess.run(
            argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        return ran.stdout

    return run


@pytest.mark.parametrize("processes", ["0", "1"])
def test_a_run_leaves_them_out_and_says_how_to_have_them(run, processes: str) -> None:
    said = run(f"--numprocesses={processes}").strip().splitlines()
    assert "1 passed" in said[-1] and "failed" not in said[-1]
    assert "2 tests are left to the night: ./inv test --nightly runs them, too" in said


def test_all_run_where_they_are_asked_for(run) -> None:
    said = run("--nightly")
    assert "3 passed" in said and "left to the night" not in said


def test_one_that_is_named_runs(run) -> None:
    assert "1 passed" in run("test_it.py::test_row[one]")
