# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that analyses texts, because a text may be crafted to harm its reader.

It reads questions from standard input and writes answers to standard output until the input ends.
It has little memory and little time for each, may open no more files and start no processes. What
it must not do kills it; ``process.py``, its other end, handles that.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import struct
import sys
from typing import BinaryIO

from . import understand

#: The two lengths before a question, and the one before an answer. The first answer is empty: the
#: process is ready.
QUESTION, ANSWER = struct.Struct("!II"), struct.Struct("!I")
#: Limits: seconds of processor time for a question, bytes of memory in all.
MOST_CPU_S, MEMORY = 5.0, 512 << 20
#: Anything else on this machine goes first.
_NICE = 10
#: <linux/prctl.h>, <linux/capability.h>
_PR_SET_PDEATHSIG, _CAPABILITY_VERSION = 1, 0x20080522


def main() -> None:
    """Answer until the input ends."""
    _confine()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    _answer(target, b"")
    while head := source.read(QUESTION.size):
        text, reason = (source.read(length) for length in QUESTION.unpack(head))
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
        try:
            told = understand(text.decode("utf-8", "backslashreplace"), reason.decode("utf-8", "replace"))
            said: object = told.as_json()
        # Whatever it may be: the next text is another one.
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:200]
        signal.setitimer(signal.ITIMER_PROF, 0)
        _answer(target, json.dumps(said).encode())


def _answer(target: BinaryIO, data: bytes) -> None:
    target.write(ANSWER.pack(len(data)) + data)
    target.flush()


def _confine() -> None:
    # Whoever has a limit that is lower keeps it.
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    # The signal's own effect is wanted, death: nothing of Python's runs within a pattern.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        # Where memory may not be both written and executed, an old libffi cannot be loaded.
        import ctypes

        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        # No capability of the service's is of use here.
        libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24))
    except (ImportError, MemoryError, OSError, AttributeError):
        pass
    # Read by import alone, and all of that is done.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


if __name__ == "__main__":
    main()
