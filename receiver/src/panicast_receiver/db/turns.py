# SPDX-License-Identifier: GPL-2.0-or-later
"""In whose turn a record is told: at once, or, of more than can be told, when those before it were.

Who may speak at once is not decided here. What waits is stored like all else, and shown; whoever follows the
records hears of it once it is let go, as of a change: in fair turns of the senders, of each the oldest first,
and no faster than the slowest sink that works takes it.
"""

from __future__ import annotations

import sqlite3
from typing import Callable

#: Told at once; waits; had to wait: its meaning, if there is none yet, holds nobody up.
AT_ONCE, WAITS, WAITED = 0, 1, 2
SCHEMA = f"""
CREATE INDEX records_in_turn ON records (source_mac, source_ip, changed) WHERE turn = {WAITS};
"""
#: So many records that were let go may lie before a sink.
_BEFORE_A_SINK = 16
_NEXT = (
    "SELECT rowid FROM (SELECT rowid, changed, row_number() OVER "
    "(PARTITION BY source_mac, source_ip ORDER BY changed) AS place "
    f"FROM records WHERE turn = {WAITS}) ORDER BY place, changed LIMIT ?"
)
#: Not while somebody looks what it means, and knows it by its change.
_LET_GO = (
    f"UPDATE records SET turn = {WAITED}, changed = ? "
    "WHERE rowid = ? AND (tries = 0 OR signature IS NOT NULL)"
)


def any_wait(db: sqlite3.Connection) -> bool:
    """Whether a record waits."""
    return db.execute(f"SELECT 1 FROM records WHERE turn = {WAITS} LIMIT 1").fetchone() is not None


def let_go(db: sqlite3.Connection, most: int, change: Callable[[], int]) -> int:
    """Let some records go that wait, within a transaction; how many that are."""
    rows = db.execute(_NEXT, (min(most, _room(db, most)),)).fetchall()
    return sum(db.execute(_LET_GO, (change(), row[0])).rowcount for row in rows)


def _room(db: sqlite3.Connection, most: int) -> int:
    """How many more the slowest sink that works may have before it."""
    (slowest,) = db.execute("SELECT min(changed) FROM cursors WHERE fed AND complaint = ''").fetchone()
    if slowest is None:
        return most
    before = db.execute(
        f"SELECT 1 FROM records WHERE changed > ? AND turn != {WAITS} "
        "AND type NOT IN ('hello', 'bye') LIMIT ?",
        (slowest, _BEFORE_A_SINK),
    ).fetchall()
    return _BEFORE_A_SINK - len(before)
