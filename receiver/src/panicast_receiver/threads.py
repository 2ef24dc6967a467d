# SPDX-License-Identifier: GPL-2.0-or-later
"""Helpers for threads of any room."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path


def name_thread(name: str) -> None:
    """Show the calling thread under its name in top, ps and /proc."""
    with contextlib.suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)
