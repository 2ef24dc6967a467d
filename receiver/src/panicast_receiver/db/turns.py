# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides when a record is delivered if more come than can be: in fair turns of the senders.

Who is delivered at once is decided elsewhere (service/turns.py). A record that waits is stored and
shown like any other. When it is let go, it counts as changed, so that followers get it: in turns of
the senders, the oldest of each first, and no faster than the slowest working sink takes them.

A record gets its place when it is stored, so that nobody has to search all that wait: behind its
sender's last one, or, if its sender has none, beside the one that goes next (start-time fair
queueing).
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
    """Return the place in the order of turns of a sender's next record that has to wait."""
    return int(db.execute(_PLACE, (mac, ip)).fetchone()[0])


def any_wait(db: sqlite3.Connection) -> bool:
    """Tell whether a record waits that may be let go."""
    return db.execute(f"SELECT 1 FROM records WHERE {_MAY_GO} LIMIT 1").fetchone() is not None


def let_go(db: sqlite3.Connection, most: int, change: Callable[[], int]) -> int:
    """Let up to ``most`` waiting records go, within a transaction; return how many went."""
    room = min(most, _room(db, most))
    rows = db.execute(_NEXT, (room,)).fetchall() if room else []
    return sum(db.execute(_LET_GO, (change(), row[0])).rowcount for row in rows)


def _room(db: sqlite3.Connection, most: int) -> int:
    """Return how many more records the slowest working sink may have ahead of it, at most
    ``most``."""
    (slowest,) = db.execute("SELECT min(changed) FROM cursors WHERE fed AND complaint = ''").fetchone()
    if slowest is None:
        return most
    before = db.execute(
        f"SELECT 1 FROM records WHERE changed > ? AND turn != {WAITS} "
        "AND type NOT IN ('hello', 'bye') LIMIT ?",
        (slowest, _BEFORE_A_SINK),
    ).fetchall()
    return _BEFORE_A_SINK - len(before)
