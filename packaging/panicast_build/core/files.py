# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are never seen half-written, and locks that processes and threads hold in turn."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# How the name of a lock ends.
LOCK = ".lock"


def write(path: Path, text: str) -> None:
    """Writes beside path, then renames."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def cached(folder: Path, fill: Callable[[Path], None]) -> Path:
    """folder, whose name is NAME-HASH, of all that goes into it. Where it is not there, fill is given one
    beside it, which takes its place; then what it replaces, of the same NAME, is removed: who works with that
    has its files open."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix="part-"))
    try:
        fill(part)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for other in set(folder.parent.iterdir()) - {folder}:
        if other.name.rpartition("-")[0] == folder.name.rpartition("-")[0]:
            shutil.rmtree(other)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time holds the lock that the file path is; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
