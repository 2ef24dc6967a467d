# SPDX-License-Identifier: GPL-2.0-or-later
"""How the C library and Python give us memory and take it back, which decides what a frame costs."""

from __future__ import annotations

import gc

#: <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_ARENA_MAX = -1, -2, -8


def tune() -> None:
    """Make memory cheap; called once, when all modules are loaded."""
    # Records in flight are many objects and hardly one refers to itself: seldom look for those that do.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    _tune_malloc()


def _tune_malloc() -> None:
    """Grow by 16 MiB at a time, and give back what is free beyond 64 MiB.

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
    for what, value in ((_M_ARENA_MAX, 1), (_M_TOP_PAD, 16 << 20), (_M_TRIM_THRESHOLD, 64 << 20)):
        mallopt(what, value)
