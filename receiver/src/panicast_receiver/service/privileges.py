# SPDX-License-Identifier: GPL-2.0-or-later
"""The one capability that systemd gives us is for the packet ring: no program that we begin gets it."""

from __future__ import annotations

import contextlib

#: <linux/prctl.h>
_AMBIENT, _CLEAR = 47, 4


def keep_from_children() -> None:
    """Clear the ambient set of this thread and all that it begins; what we may ourselves stays."""
    # Where memory may not be both written and executed, an old libffi cannot be loaded.
    with contextlib.suppress(ImportError, MemoryError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_AMBIENT, _CLEAR, 0, 0, 0)
