# SPDX-License-Identifier: GPL-2.0-or-later
"""Which engine is used, and the private one's pid files, which a kill -9 leaves behind."""

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


def test_a_users_podman_is_found_where_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(url: str) -> str | None:
        return url if url.endswith(str(socket)) else None

    socket = tmp_path / "podman/podman.sock"
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(engine, "_answers", answers)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert engine._first_answering() is None
    socket.parent.mkdir()
    socket.touch()
    assert engine._first_answering() == f"unix://{socket}"
    # Root has our own.
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert engine._first_answering() is None
