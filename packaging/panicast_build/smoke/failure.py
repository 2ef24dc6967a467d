# SPDX-License-Identifier: GPL-2.0-or-later
"""How a smoke test fails, and the one way in which it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
POLL_SECONDS = 0.5


class SmokeFailure(Exception):
    """Something expected of a guest did not happen; the message says what, in one sentence."""


def wait_for(
    what: str,
    seconds: float,
    probe: Callable[[], Value | None],
    *,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Value:
    """Returns the first true value of probe. Raises SmokeFailure, which names what was waited for,
    after seconds."""
    deadline = clock() + seconds
    while not (value := probe()):
        if clock() >= deadline:
            raise SmokeFailure(f"waited {seconds:.0f} s in vain for {what}")
        pause(POLL_SECONDS)
    return value
