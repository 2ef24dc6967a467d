# SPDX-License-Identifier: GPL-2.0-or-later
"""A polite kill unwinds a task, whatever it waits for, and says so by its exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A task that waits, as ./inv package --distro all does, for a process that a thread started.
TASK = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from panicast_build.errors import reported
from panicast_build.run import run
from panicast_build.termination import terminable

if sys.argv[1] == "ignoring":
    import signal
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
with reported(), terminable(), ThreadPoolExecutor() as pool:
    try:
        list(pool.map(run, [["sh", "-c", "touch started; exec sleep 600"]]))
    finally:
        Path("cleaning").touch()
        while not Path("go").exists():
            pass
        Path("cleaned").touch()
"""


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_unwinds(tmp_path: Path, number: signal.Signals) -> None:
    argv = [sys.executable, "-c", TASK, "heeding"]
    with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as task:
        wait_for(tmp_path / "started", task)
        task.send_signal(number)
        wait_for(tmp_path / "cleaning", task)
        # timeout(1) kills its child and then its group, which the child is in.
        task.send_signal(number)
        (tmp_path / "go").touch()
        _, said = task.communicate(timeout=30)
    assert (tmp_path / "cleaned").exists()
    assert said == f"panicast: ended by {number.name}\n"
    assert task.returncode == 128 + number


def test_nohup_is_respected(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", TASK, "ignoring"]
    with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as task:
        wait_for(tmp_path / "started", task)
        task.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            task.wait(1)
        task.send_signal(signal.SIGTERM)
        (tmp_path / "go").touch()
        _, said = task.communicate(timeout=30)
    assert said == "panicast: ended by SIGTERM\n"
