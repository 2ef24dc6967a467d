# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are never seen half-written, and locks that processes and threads hold in turn."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Writes beside path, then renames."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time holds the lock that the file path is; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
