# SPDX-License-Identifier: GPL-2.0-or-later
"""The private engine's pid files, which a kill -9 leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from panicast_build.engine import engine


def test_our_own_process_is_alive(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    argv = [sys.executable, "-c", "print(flush=True); input()", str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sleeper:
        # A process whose exec is not over has no command line yet.
        assert sleeper.stdout and sleeper.stdout.readline()
        pid_file.write_text(str(sleeper.pid))
        assert engine._alive(pid_file, tmp_path) == sleeper.pid
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        # Dead, but not yet waited for.
        assert engine._alive(pid_file, tmp_path) is None
    assert not pid_file.exists()


@pytest.mark.parametrize("text", ["", "words", "1", "99999999"])
def test_stale_pid_files_are_removed(tmp_path: Path, text: str) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text(text)
    assert engine._alive(pid_file, tmp_path) is None
    assert not pid_file.exists()
