# SPDX-License-Identifier: GPL-2.0-or-later
"""The test run itself: it says where it is, and a test that hangs ends alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ...waiting import PATIENCE_S

PLUGIN = Path(__file__).parents[2] / "progress.py"
# What it says is in a file, too, so that a test can wait for it.
CONFTEST = """
from pathlib import Path
from progress import Progress

class Both:
    def __init__(self, out):
        self.out, self.said = out, ""

    def write(self, text):
        self.said += text
        self.out.write(text)

    def flush(self):
        self.out.flush()
        Path("said").write_text(self.said)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        progress = Progress(config, every_s=0.2)
        progress._out = Both(progress._out)
        Path("said").write_text("")
        config.pluginmanager.register(progress)
"""
TESTS = """
import time
from pathlib import Path

def wait_for(words):
    while words not in Path("said").read_text():
        time.sleep(0.01)

def test_slow():
    wait_for("::test_slow for")

def test_slower():
    wait_for("::test_slower for")
"""


def run(folder: Path, *arguments: str) -> str:
    shutil.copy(PLUGIN, folder)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    argv = [sys.executable, "-m", "pytest", *arguments, "."]
    return subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    ).stdout


def test_a_run_says_where_it_is(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert "0 of 2 tests, test_it.py::test_slow for" in first and "last time" not in first
    assert "1 of 2 tests, test_it.py::test_slower for" in second and "the other 1 took" in second
    assert "2 passed" in second.strip().splitlines()[-1]


def test_so_does_one_of_several_processes(tmp_path: Path) -> None:
    assert "1 of 2 tests, test_it.py::test_slower for" in run(tmp_path, "--numprocesses=1")


def test_a_test_that_hangs_ends_alone(tmp_path: Path) -> None:
    # The other one may take its time.
    tests = (
        "import pytest, time\n@pytest.mark.timeout(1)\ndef test_a(): time.sleep(600)\ndef test_b(): pass\n"
    )
    (tmp_path / "test_it.py").write_text(tests)
    argv = [sys.executable, "-m", "pytest", "--timeout=600", "."]
    ran = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert "Timeout" in ran.stdout and "1 failed, 1 passed" in ran.stdout


def test_each_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    assert request.config.getini("timeout") == "1800"
    marker = request.node.get_closest_marker("timeout")
    assert marker is not None and marker.args == (600,)
