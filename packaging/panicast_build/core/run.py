# SPDX-License-Identifier: GPL-2.0-or-later
"""The only place that starts processes on this machine: argv lists, never shell strings."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

from panicast_build.core.errors import BuildError, UserError


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code, and its standard output and standard error together,
    decoded."""

    code: int
    output: str


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """Returns the caller's environment with a fixed language, so that tools' output does not vary."""
    return {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}


_running: set[subprocess.Popen[str]] = set()
# How often terminate() was called.
_terminations = 0


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    log: TextIO | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    input: str | None = None,
) -> Result:
    """Runs argv to its end, copies its output to log as it comes, and returns it.

    env is added to the environment. With check an exit code other than 0 raises BuildError if there
    is a log, else UserError with the output. A missing command raises UserError.
    """
    words = [os.fspath(word) for word in argv]
    terminations = _terminations
    if log:
        log.write(f"+ {shlex.join(words)}\n")
        log.flush()
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=_environment(env),
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such command or folder") from error
    _running.add(process)
    if _terminations != terminations:
        # It came while the process started, and did not see it.
        process.terminate()
    with process:
        try:
            output = _pump(process, log, input)
        except BaseException:
            process.kill()
            raise
        finally:
            _running.discard(process)
    if check and process.returncode != 0:
        message = f"{words[0]} failed with exit code {process.returncode}"
        if log:
            raise BuildError(message, Path(log.name))
        raise UserError(message, output.strip())
    return Result(process.returncode, output)


def _pump(process: subprocess.Popen[str], log: TextIO | None, input: str | None) -> str:
    """Copies the output of process to log as it comes; returns all of it."""
    if input is not None:
        output, _ = process.communicate(input)
        if log:
            log.write(output)
        return output
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if log:
            log.write(line)
            log.flush()
    return "".join(lines)


def terminate() -> None:
    """Asks all processes that run() waits for, in any thread, to end."""
    global _terminations
    _terminations += 1
    for process in list(_running):
        process.terminate()


def spawn(argv: Sequence[str | os.PathLike[str]], *, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Starts argv in a session of its own, so that it survives us and our Ctrl-C; its output goes
    to log."""
    return subprocess.Popen(
        [os.fspath(word) for word in argv],
        env=_environment(None),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
