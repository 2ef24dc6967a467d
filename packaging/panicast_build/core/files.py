# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes files atomically, and takes locks that exclude processes and threads."""

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
    """Writes a file beside path and renames it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def cached(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Returns folder, whose name is NAME-HASH of all that goes into it. If it does not exist, fill
    gets a temporary folder, which is then renamed. Older folders of the same NAME are deleted; who
    uses one has its files open."""
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
    """Holds the lock file path; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
