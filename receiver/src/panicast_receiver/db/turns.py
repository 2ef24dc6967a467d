# SPDX-License-Identifier: GPL-2.0-or-later
"""In whose turn a record is told: at once, or, of more than can be told, when those before it were.

Who may speak at once is not decided here. What waits is stored like all else, and shown; whoever follows the
records hears of it once it is let go, as of a change: in fair turns of the senders, of each the oldest first,
and no faster than the slowest sink that works takes it.

The turn is found when a record is stored, so that nobody ever looks at all that wait: a sender's next one has
the place behind its last one, and the first has the place of who is next now (start-time fair queueing).
"""

from __future__ import annotations

import sqlite3
from typing import Callable

#: Told at once; waits; had to wait: its meaning, if there is none yet, holds nobody up.
AT_ONCE, WAITS, WAITED = 0, 1, 2
#: What may be let go: not while somebody looks what it means, and knows it by its change; nor does what was
#: begun and never ended stand before the others.
_MAY_GO = f"turn = {WAITS} AND (tries = 0 OR signature IS NOT NULL)"
SCHEMA = f"""
CREATE INDEX records_in_turn ON records (place, changed) WHERE turn = {WAITS};
CREATE INDEX records_of_sender ON records (source_mac, source_ip, place) WHERE turn = {WAITS};
"""
#: So many records that were let go may lie before a sink.
_BEFORE_A_SINK = 16
_NEXT = f"SELECT rowid FROM records WHERE {_MAY_GO} ORDER BY place, changed LIMIT ?"
_PLACE = (
    f"SELECT max((SELECT coalesce(min(place), 0) FROM records WHERE turn = {WAITS}), "
    f"(SELECT coalesce(max(place), -1) + 1 FROM records WHERE turn = {WAITS} "
    "AND source_mac IS ? AND source_ip IS ?))"
)
_LET_GO = f"UPDATE records SET turn = {WAITED}, changed = ? WHERE rowid = ?"


def place(db: sqlite3.Connection, mac: str | None, ip: str | None) -> int:
    """Where a sender's next record that waits has its turn."""
    return int(db.execute(_PLACE, (mac, ip)).fetchone()[0])


def any_wait(db: sqlite3.Connection) -> bool:
    """Whether a record waits that may be let go."""
    return db.execute(f"SELECT 1 FROM records WHERE {_MAY_GO} LIMIT 1").fetchone() is not None


def let_go(db: sqlite3.Connection, most: int, change: Callable[[], int]) -> int:
    """Let some records go that wait, within a transaction; how many that are."""
    room = min(most, _room(db, most))
    rows = db.execute(_NEXT, (room,)).fetchall() if room else []
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
