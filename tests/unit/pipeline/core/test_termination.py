# SPDX-License-Identifier: GPL-2.0-or-later
"""A polite kill unwinds a task, whatever it waits for, and says so by its exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from ....waiting import PATIENCE_S, wait_until

# A task that waits, as ./inv package --distro all does, for a process that a thread started.
TASK = """
import signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from panicast_build.core.errors import reported
from panicast_build.core.run import run
from panicast_build.core.termination import terminable

signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
with reported(), terminable(), ThreadPoolExecutor() as pool:
    try:
        list(pool.map(run, [["sh", "-c", "touch started; exec sleep 600"]]))
    finally:
        Path("cleaning").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        Path("cleaned").touch()
"""


class Task:
    """TASK in a folder, whatever the tests themselves were started by: SIGHUP is, say, SIG_DFL to it."""

    def __init__(self, folder: Path, hangup: str) -> None:
        argv = [sys.executable, "-c", TASK, hangup]
        self.process = subprocess.Popen(argv, cwd=folder, stderr=subprocess.PIPE, text=True)
        self._folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, name: str) -> None:
        path = self._folder / name
        wait_until(lambda: path.exists() or self.process.poll() is not None, f"the task's file {name}")
        assert path.exists(), "the task ended"

    def end(self, number: signal.Signals) -> None:
        """Sends it this signal until it cleans up. Python hears one only at the next if it comes in the
        moment before its main thread waits."""

        def heard() -> bool:
            self.process.send_signal(number)
            return (self._folder / "cleaning").exists()

        wait_until(heard, "it cleans up")

    def said(self) -> str:
        """What it says until its end, which it may come to."""
        (self._folder / "go").touch()
        return self.process.communicate(timeout=PATIENCE_S)[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_unwinds(tmp_path: Path, number: signal.Signals) -> None:
    with Task(tmp_path, "SIG_DFL") as task:
        task.wait_for("started")
        task.end(number)
        # timeout(1) kills its child and then its group, which the child is in.
        task.process.send_signal(number)
        assert task.said() == f"panicast: ended by {number.name}\n"
    assert (tmp_path / "cleaned").exists()
    assert task.process.returncode == 128 + number


def test_nohup_is_respected(tmp_path: Path) -> None:
    with Task(tmp_path, "SIG_IGN") as task:
        task.wait_for("started")
        task.process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            task.process.wait(1)
        task.end(signal.SIGTERM)
        assert task.said() == "panicast: ended by SIGTERM\n"
