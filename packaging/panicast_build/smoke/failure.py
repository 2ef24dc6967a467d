# SPDX-License-Identifier: GPL-2.0-or-later
"""How a smoke test ends badly, and the one way in which it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
POLL_SECONDS = 0.5


class SmokeFailure(Exception):
    """What was expected of a guest and did not happen, in one sentence."""


def wait_for(
    what: str,
    seconds: float,
    probe: Callable[[], Value | None],
    *,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Value:
    """The first true value of probe; SmokeFailure names what was waited for when seconds have passed."""
    deadline = clock() + seconds
    while not (value := probe()):
        if clock() >= deadline:
            raise SmokeFailure(f"waited {seconds:.0f} s in vain for {what}")
        pause(POLL_SECONDS)
    return value
