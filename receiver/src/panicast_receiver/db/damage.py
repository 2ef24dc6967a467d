# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells a damaged database from a full or failing disk, and sets it aside."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

from ..errors import ReceiverError

#: The word in the name of a file that was set aside: damaged, or too large to be upgraded; and after
#: `recover`.
DAMAGED, OLDER, RECOVERED = "damaged", "older", "recovered"
#: So many are kept, the largest ones: they must not fill a disk that damages every new file.
MOST_ASIDE = 5
WHAT_TO_DO = (
    "the service sets it aside when it meets the damage, or the next time it starts, and starts a new one; "
    "`panicast-receiver recover` saves what can be saved"
)
#: Seconds between two signs of life while a file is read.
_BEAT_S = 1.0


class DamagedError(ReceiverError):
    """The file is damaged."""


class GoneError(sqlite3.DatabaseError):
    """Another file has the name of the open one, or none has."""


class Connection(sqlite3.Connection):
    """Raises an error of SQLite's for each that SQLite finds."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """See sqlite3.Connection."""
        try:
            return super().execute(sql, parameters)
        except (UnicodeDecodeError, sqlite3.DatabaseError) as error:
            # SQLite names what is malformed, in bytes that the disk has changed. Python expects text: it
            # says so, or before 3.11 nothing at all.
            if isinstance(error, sqlite3.DatabaseError) and str(error):
                raise
            raise sqlite3.DatabaseError("malformed database schema") from error


def is_damage(error: Exception, path: Path, beat: Callable[[], None] = lambda: None) -> bool:
    """Tell whether the file itself is at fault: its pages make no sense, or some of it cannot be
    read."""
    text = str(error)
    if "malformed" in text or "not a database" in text:
        return True
    return "disk I/O error" in text and path.exists() and not _readable(path, beat)


def _readable(path: Path, beat: Callable[[], None]) -> bool:
    """Tell whether every byte can be read: not with a bad sector, but also on a disk that accepts
    no writes.

    Another process reads it: if we closed a file that SQLite has open, the kernel would drop
    SQLite's locks.
    """
    try:
        with subprocess.Popen(
            ["cat", "--", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as reader:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return reader.wait(_BEAT_S) == 0
                beat()
    except OSError:
        # No process can be begun: that tells nothing of the file.
        return True


def set_aside(path: Path, word: str = DAMAGED) -> Path:
    """Rename a database that nobody has open, with a date; return the name. Raises OSError.

    The log goes first: otherwise a new database would take it for its own.
    """
    now = datetime.now(timezone.utc)
    target = path.with_name(f"{path.name}.{word}-{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}Z")
    for suffix in ("-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    with contextlib.suppress(FileNotFoundError):
        path.with_name(f"{path.name}-shm").unlink()
    sync_folder(path.parent)
    for smallest in sorted(aside(path, word), key=lambda file: file.stat().st_size)[:-MOST_ASIDE]:
        for suffix in ("-wal", ""):
            with contextlib.suppress(OSError):
                smallest.with_name(smallest.name + suffix).unlink()
    return target


def aside(path: Path, *words: str) -> list[Path]:
    """Return the files that were set aside and not recovered yet, oldest first; ``words`` are those of their
    names, by default all."""
    found = (
        file for word in words or (DAMAGED, OLDER) for file in path.parent.glob(f"{path.name}.{word}-*Z")
    )
    return sorted(file for file in found if file.is_file())


def recovered(path: Path) -> Path:
    """Rename a file that was set aside, because what could be saved of it was."""
    name = path.name
    for word in (DAMAGED, OLDER):
        name = name.replace(f".{word}-", f".{RECOVERED}-")
    target = path.with_name(name)
    with contextlib.suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").rename(target.with_name(f"{target.name}-wal"))
    path.rename(target)
    return target


def put_back(target: Path, path: Path) -> None:
    """Undo set_aside(). Raises OSError.

    First goes what a new database has left beside its file: SQLite would put that into the old one, and a
    journal that is still there says that the file was empty.
    """
    for suffix in ("-journal", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            target.with_name(target.name + suffix).rename(path.with_name(path.name + suffix))


def sound(connection: sqlite3.Connection) -> bool:
    """Tell whether SQLite finds nothing wrong in the whole file, which it reads for that."""
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
