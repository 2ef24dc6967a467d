# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of ``child.py``: asks a process what texts mean, and starts a new one when it has
died."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from . import Meaning
from .child import ANSWER, MOST_CPU_S, QUESTION

#: Seconds that a start and an answer may take, also on a busy machine; bytes of an answer.
_START_S, _ANSWER_S, _MOST_ANSWER = 60.0, 60.0, 1 << 20
#: The only environment variables that the child gets.
_VARIABLES = ("PATH", "LANG", "LC_ALL", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
#: Our own search path for modules.
_PATHS = os.pathsep.join(
    [str(Path(__file__).resolve().parents[2]), *(path for path in sys.path if path[:1] == "/")]
)
_TUPLES = frozenset(one.name for one in fields(Meaning) if isinstance(one.default, tuple))


class NotStarted(OSError):
    """There is no process to ask, for a reason that no text caused."""


class Stopped(Exception):
    """Nobody wants the answer any more."""


class Process:
    """Runs at most one process, and starts it when needed. One thread asks; any thread may ``stop``
    it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def start(self) -> None:
        """Make sure that a process waits for a question. Raises NotStarted or Stopped."""
        if self._child is not None and self._child.poll() is None:
            return
        self._end()
        try:
            with self._lock:
                if self._stopped:
                    raise Stopped
                self._child = subprocess.Popen(
                    [sys.executable, "-m", f"{__package__}.child"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    # Nothing is imported from where somebody happens to stand; Ctrl-C is for the service.
                    cwd="/",
                    start_new_session=True,
                    env={"PYTHONPATH": _PATHS, **_kept(os.environ)},
                )
            if self._read(_START_S) != b"":
                raise OSError("it said nothing")
        except OSError as error:
            self._end()
            if self._stopped:
                raise Stopped from error
            raise NotStarted(f"the process that analyses texts does not start: {error}") from error

    def ask(self, text: bytes, reason: str) -> Meaning | str:
        """Return what a text means, or in words why that is unknown. Raises Stopped. Call ``start``
        first."""
        child = self._child
        assert child is not None and child.stdin is not None
        stated = reason.encode("utf-8", "backslashreplace")
        try:
            _write(child.stdin.fileno(), QUESTION.pack(len(text), len(stated)) + text + stated)
            said = json.loads(self._read(_ANSWER_S))
            return said if isinstance(said, str) else _meaning(said)
        except TimeoutError:
            self._end()
            why = f"it took longer than {_ANSWER_S:.0f} s"
        except (OSError, ValueError, TypeError, AttributeError):
            code = self._end()
            why = (
                f"it took longer than {MOST_CPU_S:.0f} s of processor time"
                if code == -signal.SIGPROF
                else "it took more memory than it may use"
                if code == -signal.SIGKILL
                else f"the process that analysed it ended with code {code}"
            )
        if self._stopped:
            raise Stopped
        return why

    def stop(self) -> None:
        """End the process now, whatever it does; no other one starts."""
        with self._lock:
            self._stopped = True
            child = self._child
        if child is not None:
            child.kill()

    def _end(self) -> int:
        """End the process, if there is one, and return its exit code."""
        child, self._child = self._child, None
        if child is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Whoever closes his pipes by dying is about to be dead.
            child.wait(0.5)
        if child.returncode is None:
            child.kill()
        code = child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        return code

    def _read(self, patience_s: float) -> bytes:
        """Return the answer. Raises OSError, and TimeoutError if none came in time."""
        child = self._child
        assert child is not None and child.stdout is not None
        until = time.monotonic() + patience_s
        (length,) = ANSWER.unpack(_read_exactly(child.stdout.fileno(), ANSWER.size, until))
        if length > _MOST_ANSWER:
            raise OSError(f"an answer of {length} bytes")
        return _read_exactly(child.stdout.fileno(), length, until)


def _kept(variables: Mapping[str, str]) -> Mapping[str, str]:
    return {name: variables[name] for name in _VARIABLES if name in variables}


def _read_exactly(descriptor: int, length: int, until: float) -> bytes:
    found = b""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while len(found) < length:
        if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError
        data = os.read(descriptor, length - len(found))
        if not data:
            raise OSError("the process has ended")
        found += data
    return found


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _meaning(said: Mapping[str, Any]) -> Meaning:
    """Return the value that an answer describes. Raises ValueError, TypeError or AttributeError."""
    values: dict[str, Any] = {key: tuple(value) if key in _TUPLES else value for key, value in said.items()}
    return Meaning(**values)
