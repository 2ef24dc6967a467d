# SPDX-License-Identifier: GPL-2.0-or-later
"""The test run itself: it says where it is, and a test that hangs ends alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "progress.py"
CONFTEST = """
from progress import Progress

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config, every_s=0.2))
"""
TESTS = """
import time

def test_slow():
    time.sleep(0.6)

def test_slower():
    time.sleep(1.4)
"""


def run(folder: Path, *arguments: str) -> str:
    shutil.copy(PLUGIN, folder)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    argv = [sys.executable, "-m", "pytest", *arguments, "."]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=200).stdout


def test_a_run_says_where_it_is(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert "0 of 2 tests, test_it.py::test_slow for" in first and "last time" not in first
    assert "1 of 2 tests, test_it.py::test_slower for" in second and "the other 1 took" in second
    assert "2 passed" in second.strip().splitlines()[-1]


def test_so_does_one_of_several_processes(tmp_path: Path) -> None:
    assert "1 of 2 tests, test_it.py::test_slower for" in run(tmp_path, "--numprocesses=1")


def test_a_test_that_hangs_ends_alone(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import time\ndef test_a(): time.sleep(60)\ndef test_b(): pass\n")
    argv = [sys.executable, "-m", "pytest", "--timeout=1", "."]
    ran = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50)
    assert "Timeout" in ran.stdout and "1 failed, 1 passed" in ran.stdout


def test_each_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    assert request.config.getini("timeout") == "3600"
    marker = request.node.get_closest_marker("timeout")
    assert marker is not None and marker.args == (600,)
