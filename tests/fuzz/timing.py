# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures what inputs cost: one that takes ten times what its like take is a finding."""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable

#: How much more than the median, at least how much at all in seconds, of how many of one length.
TIMES, FLOOR_S, ENOUGH = 10, 0.02, 50
#: Of each length so many are remembered, and what is slow is tried so often again before it counts.
_MOST, _AGAIN = 1000, 3


class SlowInput(AssertionError):
    """An input that takes far longer than others of its length."""


def timed(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, which raises SlowInput, too."""
    known: dict[int, list[float]] = {}

    def once(data: bytes) -> float:
        began = time.process_time()
        target(data)
        return time.process_time() - began

    def run(data: bytes) -> None:
        took = once(data)
        times = known.setdefault(len(data).bit_length(), [])
        if len(times) >= ENOUGH:
            median = times[len(times) // 2]
            limit = max(FLOOR_S, TIMES * median)
            if took > limit:
                # Python tidies up now and then: what is slow is so each time.
                took = min(once(data) for _ in range(_AGAIN))
            if took > limit:
                raise SlowInput(f"{len(data)} bytes take {took:.3f} s, others of that length {median:.4f} s")
        if len(times) < _MOST:
            insort(times, took)

    return run
