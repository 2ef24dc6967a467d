# SPDX-License-Identifier: GPL-2.0-or-later
"""Tunes how the C library and Python allocate memory, which decides what a frame costs."""

from __future__ import annotations

import gc

#: <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_ARENA_MAX = -1, -2, -8


#: The C library returns what is free beyond this, bytes.
_FREE = 64 << 20
#: Taken from the heap, not mapped for itself.
_CHUNK = 64 << 10


def tune(reserve: int) -> None:
    """Make memory cheap. Call it once all modules are loaded. Keep ``reserve`` bytes from the
    start."""
    # Records in flight are many objects and hardly one refers to itself: seldom look for those that do.
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    _tune_malloc(_FREE + reserve)
    # Written to, so that it is there, and free again.
    _ = [b"\1" * _CHUNK for _ in range(reserve // _CHUNK)]


def _tune_malloc(keep: int) -> None:
    """Grow by 16 MiB at a time, and give back what is free beyond ``keep`` bytes.

    By default glibc has an arena for each thread and grows it by one page and one system call at a time,
    which costs a thread that takes a frame every microsecond more than all the rest. Other C libraries
    lack the function, or ignore it.
    """
    try:
        # Where memory may not be both written and executed, an old libffi cannot be loaded.
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, MemoryError, OSError, AttributeError):
        return
    # Beyond what fits into an int nothing is ever given back.
    trim = min(keep, (1 << 31) - 1)
    for what, value in ((_M_ARENA_MAX, 1), (_M_TOP_PAD, 16 << 20), (_M_TRIM_THRESHOLD, trim)):
        mallopt(what, value)
