# SPDX-License-Identifier: GPL-2.0-or-later
"""How the C library gives us memory, which decides what a frame costs."""

from __future__ import annotations

#: <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_ARENA_MAX = -1, -2, -8


def tune() -> None:
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
