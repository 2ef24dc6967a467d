# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that hold secrets: read only where nobody but their owner may."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import ReceiverError


def read_private(path: Path, what: str) -> list[str]:
    """The lines of a file of ``what``; raises ReceiverError, also when others than its owner may read it."""
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            lines = file.read().splitlines()
    except OSError as error:
        raise ReceiverError(f"cannot read {what} in {path}: {error.strerror}") from error
    if mode & 0o077:
        raise ReceiverError(f"others may read {what} in {path} (mode {mode:04o}); run: chmod 600 {path}")
    return lines
