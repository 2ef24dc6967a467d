# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the system's own programs."""

from __future__ import annotations

import subprocess

_SECONDS = 10


def said(*argv: str) -> str | None:
    """Return a program's standard output without the newline; None if it does not exist, fails or
    does not answer."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
