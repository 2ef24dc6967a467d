# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies databases by SQLite itself: a copy gets its name only when it is complete and on the disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Callable

from . import damage

#: Pages between two signs of life.
_PIECE = 1024
#: A file's own name, its log's and its index's.
_SUFFIXES = ("", "-wal", "-shm")


def copy(source: sqlite3.Connection, target: Path, beat: Callable[[], None] | None = None) -> None:
    """Copy a database into a file that only we may read, replacing an existing one.

    It copies in one step, because SQLite would start over each time somebody writes; with ``beat``,
    when nobody writes, in several steps. Raises OSError and sqlite3.Error, and then leaves nothing
    behind.
    """
    beside = target.with_name(f".{target.name}.new")
    _delete(beside)
    try:
        # Made here, so that no other may read it for a moment.
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(beside, isolation_level=None)) as connection:
            source.backup(connection, pages=_PIECE if beat else -1, progress=lambda *_: beat and beat())
        descriptor = os.open(beside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.rename(target)
        damage.sync_folder(target.parent)
    except BaseException:
        _delete(beside)
        raise


def keep_older(connection: sqlite3.Connection, path: Path, version: int, beat: Callable[[], None]) -> Path:
    """Copy the file before it is upgraded, so that one can go back; return the copy."""
    target = path.with_name(f"{path.name}.schema-{version}")
    copy(connection, target, beat)
    return target


def _delete(path: Path) -> None:
    for suffix in _SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
