# SPDX-License-Identifier: GPL-2.0-or-later
"""``backup`` and ``restore``: copy the whole database into a file, and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ..errors import ReceiverError
from . import copies, damage, folder, schema

#: The word in the name of the file that a restored one replaces.
REPLACED = "replaced"


def backup(path: Path, target: Path) -> int:
    """Copy the database, even while the service runs; return its number of records. Raises
    ReceiverError."""
    if target.exists():
        raise ReceiverError(f"{target} exists already; name another file, or delete it")
    source, _ = schema.open_reader(path)
    with closing(source):
        _copy(source, path, target)
    copy, _ = schema.open_reader(target, alone=True)
    with closing(copy):
        sound = damage.sound(copy)
        records = int(copy.execute("SELECT count(*) FROM records").fetchone()[0]) if sound else 0
    if not sound:
        target.unlink()
        raise damage.DamagedError(f"{path} is damaged: no backup of it was made; {damage.WHAT_TO_DO}")
    return records


def restore(saved: Path, path: Path) -> Path | None:
    """Replace the database by a copy of a backup. Return the old one's new name; None if there was
    none. Nobody may write to it meanwhile. Raises ReceiverError."""
    beside = path.with_name(f".{path.name}.restored")
    source, _ = schema.open_reader(saved, older=True)
    with closing(source):
        if not damage.sound(source):
            raise ReceiverError(
                f"{saved} is damaged; name another backup, or `panicast-receiver recover {saved}`"
            )
        if what := schema.strange(source):
            raise ReceiverError(
                f"{saved} is not a backup that a receiver made: {what}; name another, or use "
                f"`panicast-receiver recover {saved}`, which takes nothing but its records"
            )
        _copy(source, saved, beside)
    try:
        folder.give(beside)
        before = damage.set_aside(path, REPLACED) if path.exists() else None
        beside.rename(path)
        damage.sync_folder(path.parent)
    except OSError as error:
        raise ReceiverError(f"cannot replace {path} by {saved}: {error.strerror}") from error
    return before


def _copy(source: sqlite3.Connection, path: Path, target: Path) -> None:
    try:
        copies.copy(source, target)
    except OSError as error:
        raise ReceiverError(f"cannot write {target}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise schema.failure(error, path) from error
