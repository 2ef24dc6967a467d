# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the administrator's program for each record: JSON on its standard input, and variables.

It gets nothing else: no capability, no file of ours, no variable of the service's (see
``confined.py``). When it ends, or its time is over, all its child processes end too.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import UsageError
from ..log import logger
from ..text import escape, shorten
from . import Notice, confined

_TIMEOUT_S = 30.0
#: Seconds between looks whether the program has ended; bytes of its last words that are logged.
_LOOK_S, _LAST_WORDS = 0.05, 200
#: Bytes of a variable: no kernel states a longer reason, and one of 128 KiB starts no program at all.
_LONGEST = 4096
_VARIABLES = ("id", "type", "host", "reason", "title", "signature", "received")
_CLEAN = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}


class Hook:
    """Runs ``program``; an exit code other than 0 is a failure. Raises UsageError if the program
    does not exist.

    ``secrets`` are files and folders that it must not read.
    """

    def __init__(self, program: str, secrets: Sequence[Path] = ()) -> None:
        self.name = "hook"
        self.most = 1
        self._program = program
        #: A reload may change them.
        self.secrets = secrets
        if not Path(program).is_file() or not os.access(program, os.X_OK):
            why = "may not be run by us" if Path(program).exists() else "is not there"
            raise UsageError(f"hook: {program} {why}; name a program, and chmod 755 it")
        if not confined.landlock_version():
            logger.warning(
                "this kernel has no Landlock: %s runs without capabilities, but as our user, who may read "
                "keys and records",
                program,
            )

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        for notice in batch:
            self._run(notice)

    def _run(self, notice: Notice) -> None:
        with contextlib.ExitStack() as stack:
            # Not a pipe: a program that does not read it would block us.
            document = stack.enter_context(os.fdopen(os.memfd_create("record"), "w+b"))
            document.write(json.dumps(notice.record).encode())
            document.seek(0)
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", confined.__file__, self._program, *map(str, self.secrets)],
                stdin=document,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**_CLEAN, **variables(notice)},
                cwd="/",
                start_new_session=True,
            )
            assert child.stderr is not None
            stack.enter_context(child.stderr)
            try:
                said = _last_words(child.pid, child.stderr.fileno())
            finally:
                # Before it is waited for, while its number is its own.
                os.killpg(child.pid, signal.SIGKILL)
                code = child.wait()
        if said is None:
            raise OSError(f"{self._program} did not end within {_TIMEOUT_S:.0f} s")
        if code:
            words = said.decode(errors="replace").strip()
            raise OSError(f"{self._program} ended with {code}: {words}")


def variables(notice: Notice) -> Mapping[str, str]:
    """Return a record's environment variables. No byte in them means anything to a shell that reads
    lines, and none is too long for a program to start."""
    record = notice.record
    return {f"PANICAST_{key.upper()}": shorten(escape(str(record[key])), _LONGEST) for key in _VARIABLES}


def _last_words(process: int, stderr: int) -> bytes | None:
    """Return what it said last before it ended; None if its time was over first."""
    os.set_blocking(stderr, False)
    ready = select.poll()
    ready.register(stderr, select.POLLIN)
    until = time.monotonic() + _TIMEOUT_S
    said, pause = b"", 0.001
    while time.monotonic() < until:
        ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        with contextlib.suppress(BlockingIOError):
            if ready.poll(0 if ended else _LOOK_S * 1000):
                data = os.read(stderr, 65536)
                said = (said + data)[-_LAST_WORDS:]
                if not data and not ended:
                    # It has closed it: its end mostly follows, and is all there is to wait for.
                    time.sleep(pause)
                    pause = min(_LOOK_S, 2 * pause)
        if ended:
            return said
    return None
