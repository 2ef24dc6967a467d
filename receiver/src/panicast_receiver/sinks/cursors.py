# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps in the database what each sink has: its cursor, its last error, and the records it
refused."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ..db import changes, keys, numbers, schema
from ..db.writing import transaction
from ..errors import ReceiverError

_WAITING = "(SELECT count(*) FROM records WHERE records.changed > cursors.changed OR turn = 1)"
#: The reason of a record that was set aside and must be sent again.
AGAIN = ""
_LONGEST_REASON = 300


def begin(db: sqlite3.Connection, sink: str, start: int | None = None) -> int:
    """Return a sink's cursor. A new sink begins with the next record, or after ``start``."""
    row = db.execute("SELECT changed FROM cursors WHERE sink = ?", (sink,)).fetchone()
    if row is None:
        row = (changes.newest(db) if start is None else start,)
        db.execute("INSERT INTO cursors (sink, changed) VALUES (?, ?)", (sink, *row))
    return int(row[0])


def feed_only(state_dir: Path, sinks: Sequence[str]) -> None:
    """From now on feed these sinks and no others: records that they have not received are kept for
    them."""
    with closing(schema.open_writer(state_dir / schema.FILE_NAME)) as db:
        marks = ", ".join("?" * len(sinks))
        # Nothing is written if all is as it was: the disk may be full.
        db.execute(f"UPDATE cursors SET fed = NOT fed WHERE fed != (sink IN ({marks}))", tuple(sinks))


def move(
    db: sqlite3.Connection,
    sink: str,
    before: int,
    after: int,
    taken: Sequence[bytes],
    refused: Sequence[tuple[bytes, str]],
) -> bool:
    """Advance a sink's cursor to ``after``; return False if `resend` moved it meanwhile."""
    with transaction(db):
        moved = db.execute(
            "UPDATE cursors SET changed = ? WHERE sink = ? AND changed = ?", (after, sink, before)
        )
        for identity in taken:
            db.execute("DELETE FROM aside WHERE sink = ? AND identity = ?", (sink, identity))
        for identity, reason in refused:
            db.execute(
                "INSERT OR REPLACE INTO aside VALUES (?, ?, ?, ?)",
                (sink, identity, reason[:_LONGEST_REASON] or "it says no", time.time_ns()),
            )
    return bool(moved.rowcount)


def complain(db: sqlite3.Connection, sink: str, complaint: str) -> None:
    """Keep the sink's last error; "" if it works."""
    db.execute("UPDATE cursors SET complaint = ? WHERE sink = ?", (complaint[:_LONGEST_REASON], sink))


def again(db: sqlite3.Connection, sink: str) -> bytes | None:
    """Return a record that was set aside and must be sent again."""
    row = db.execute(
        "SELECT identity FROM aside WHERE sink = ? AND reason = ? LIMIT 1", (sink, AGAIN)
    ).fetchone()
    return row[0] if row else None


def overview(state_dir: Path) -> list[dict[str, Any]]:
    """Return the objects that ``sinks --json`` prints. Raises ReceiverError."""
    path = state_dir / schema.FILE_NAME
    db, _ = schema.open_reader(path)
    with closing(db):
        try:
            sinks = db.execute(f"SELECT sink, complaint, {_WAITING} FROM cursors ORDER BY sink").fetchall()
            aside = db.execute(
                "SELECT aside.sink, records.id, records.type, records.host, aside.reason FROM aside "
                f"JOIN records ON {keys.IN_BOTH} AND records.identity = aside.identity ORDER BY since_ns"
            ).fetchall()
        except sqlite3.Error as error:
            raise ReceiverError(schema.explain(error, path)) from error
    return [
        {
            "sink": name,
            "state": "failing" if complaint else "works",
            "complaint": complaint,
            "waiting": waiting,
            "aside": [
                {"id": row[1], "type": row[2], "host": row[3], "reason": row[4] or "is being sent again"}
                for row in aside
                if row[0] == name
            ],
        }
        for name, complaint, waiting in sinks
    ]


def rewind(state_dir: Path, sink: str, since_ns: int) -> int:
    """Let a sink start again with the records received since then; return how many."""
    _must_exist(state_dir)
    with closing(schema.open_writer(state_dir / schema.FILE_NAME)) as db:
        _must_be_there(db, sink)
        sql = "SELECT min(changed) - 1, count(*) FROM records WHERE number >= ? AND received_ns >= ?"
        start, count = db.execute(sql, (numbers.since(since_ns), since_ns)).fetchone()
        if count:
            db.execute("UPDATE cursors SET changed = min(changed, ?) WHERE sink = ?", (start, sink))
        return int(count)


def send_aside(state_dir: Path, sink: str) -> int:
    """Mark what a sink refused to be sent again; return how many."""
    _must_exist(state_dir)
    with closing(schema.open_writer(state_dir / schema.FILE_NAME)) as db:
        _must_be_there(db, sink)
        return db.execute("UPDATE aside SET reason = ? WHERE sink = ?", (AGAIN, sink)).rowcount


def _must_exist(state_dir: Path) -> None:
    """Refuse to create a database: root, who may run this, must not leave one of its own."""
    schema.open_reader(state_dir / schema.FILE_NAME)[0].close()


def _must_be_there(db: sqlite3.Connection, sink: str) -> None:
    if db.execute("SELECT 1 FROM cursors WHERE sink = ?", (sink,)).fetchone() is None:
        names = ", ".join(row[0] for row in db.execute("SELECT sink FROM cursors")) or "none yet"
        raise ReceiverError(f"no sink {sink!r} has ever run here; known sinks: {names}")
