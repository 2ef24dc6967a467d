# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets SIGTERM and SIGHUP (a CI job's timeout, a lost terminal) unwind a task as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from panicast_build.core import run
from panicast_build.core.errors import Terminated

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def terminable() -> Iterator[None]:
    """Turns such a signal into Terminated in the main thread, and passes it on to the processes
    that run() waits for. Signals that nohup ignores stay ignored."""
    heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        # It often comes twice, to us and to our process group: the second must not cut off the unwinding.
        for other in heeded:
            signal.signal(other, signal.SIG_IGN)
        run.terminate()
        raise Terminated(number)

    previous = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
