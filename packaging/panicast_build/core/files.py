# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes files atomically, keeps folders that are made once, and takes locks that exclude processes and
threads."""

from __future__ import annotations

import fcntl
import os
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
    gets a temporary folder, which is then renamed. Older folders of the same NAME are deleted, but
    for those that another process uses."""
    while not _use(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix="part-"))
        try:
            fill(part)
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for other in set(folder.parent.iterdir()) - {folder}:
            if other.name.rpartition("-")[0] == folder.name.rpartition("-")[0]:
                _delete(other)
    return folder


#: The cached folders that this process uses: each is open and locked, so that no other process deletes it.
_USED: dict[Path, int] = {}


def _use(folder: Path) -> bool:
    """Says that this process uses a folder. Returns False if it is not there."""
    if folder in _USED and folder.exists():
        return True
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    # Waits for whoever is deleting it.
    fcntl.flock(handle, fcntl.LOCK_SH)
    if not folder.exists():
        os.close(handle)
        return False
    _USED[folder] = handle
    return True


def _delete(folder: Path) -> None:
    """Deletes a folder unless another process uses it."""
    if folder in _USED:
        os.close(_USED.pop(folder))
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file path; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
