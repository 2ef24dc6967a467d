# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system's own programs say of it."""

from __future__ import annotations

import subprocess

_SECONDS = 10


def said(*argv: str) -> str | None:
    """What a program says on standard output, without the line's end; None where it is not there, fails or
    does not answer."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
