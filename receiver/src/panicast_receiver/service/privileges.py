# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps systemd's one capability, which the packet ring needs, from all programs that we start."""

from __future__ import annotations

import contextlib

#: <linux/prctl.h>
_AMBIENT, _CLEAR = 47, 4


def keep_from_children() -> None:
    """Clear the ambient set of this thread and its children; our own capability stays."""
    # Where memory may not be both written and executed, an old libffi cannot be loaded.
    with contextlib.suppress(ImportError, MemoryError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_AMBIENT, _CLEAR, 0, 0, 0)
