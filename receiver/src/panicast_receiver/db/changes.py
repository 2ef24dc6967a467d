# SPDX-License-Identifier: GPL-2.0-or-later
"""The number of a change. It only grows, whatever is deleted, restarted or restored.

It is the time in microseconds since the epoch, or the last number plus one if the clock is behind
that. So a restored file continues after everything that was counted since it was saved.
"""

from __future__ import annotations

import sqlite3
import time

#: What of it all is in the tables: for a new file, and for one of an older version.
SCHEMA = """
CREATE TABLE counters (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
"""
BEGIN = "INSERT INTO counters VALUES ('changed', 0);"
CARRY_ON = """
INSERT INTO counters SELECT 'changed', max(
    (SELECT coalesce(max(changed), 0) FROM records),
    (SELECT coalesce(max(changed), 0) FROM greetings), (SELECT coalesce(max(changed), 0) FROM cursors));
"""
NEWEST = "SELECT value FROM counters WHERE name = 'changed'"


def newest(db: sqlite3.Connection) -> int:
    """Return the number of the newest change."""
    return int(db.execute(NEWEST).fetchone()[0])


def following(changed: int) -> int:
    """Return the number of the change after this one."""
    return max(changed + 1, time.time_ns() // 1000)


def keep(db: sqlite3.Connection, changed: int) -> None:
    """Store the newest number, within the transaction that made it."""
    db.execute("UPDATE counters SET value = ? WHERE name = 'changed'", (changed,))


def age_s(changed: int, received_ns: int) -> float:
    """Return the seconds since a record changed. If the clock, and so the number, was ahead, count
    from when it was received; if that is ahead too, return a long time."""
    now = time.time()
    ages = (now - changed / 1e6, now - received_ns / 1e9)
    return next((age for age in ages if age >= 0), float("inf"))
