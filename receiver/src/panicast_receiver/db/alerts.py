# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the tables of alerts: what has been reported, what still has to be sent, and how far each
target is. Both have a bound: who makes crashes up makes alerts."""

from __future__ import annotations

import sqlite3

from .groups import SIGNATURE

#: told: what is known of a thing that is told of, so that it is told once. alerts: each is told to every
#: target that wants it, and none has the number of one before, though all of those may be gone;
#: target_alerts: the last one that a target has dealt with, and its last digest.
SCHEMA = """
CREATE TABLE told (
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    value INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (kind, about)
);
CREATE TABLE alerts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ns INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE TABLE target_alerts (
    target TEXT PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    digest_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""
#: Shares of the database's bytes that each table has, what a row takes, and how many there are at most.
_ALERTS_SHARE, _ALERT_BYTES = 16, 2048
_TOLD_SHARE, _TOLD_BYTES = 16, 512
_FEWEST, _MOST = 256, 100_000


def expire(db: sqlite3.Connection, size: int) -> int:
    """Delete what is beyond the shares of so many bytes, the oldest first; return how many rows.

    What was told of a group, which begins with its signature, is forgotten last if there are records of it:
    else it is told again as new.
    """
    most = _within(size // _ALERTS_SHARE // _ALERT_BYTES)
    gone = db.execute("DELETE FROM alerts WHERE number <= (SELECT max(number) FROM alerts) - ?", (most,))
    most = _within(size // _TOLD_SHARE // _TOLD_BYTES)
    (count,) = db.execute("SELECT count(*) FROM told").fetchone()
    # Some more, because all of them are sorted.
    forgotten = count - most + most // 8 if count > most else 0
    if forgotten:
        db.execute(
            "DELETE FROM told WHERE rowid IN (SELECT rowid FROM told WHERE kind != 'begun' "
            f"ORDER BY substr(about, 1, {SIGNATURE}) IN (SELECT signature FROM groups), rowid LIMIT ?)",
            (forgotten,),
        )
    return gone.rowcount + forgotten


def _within(rows: int) -> int:
    return max(_FEWEST, min(_MOST, rows))
