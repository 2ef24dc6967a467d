# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides when a record is delivered if more come than can be: in fair turns of the senders.

Who is delivered at once is decided elsewhere (service/allowances.py). A record that waits is stored and
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
#: So many records are let go at a time while sinks are fed.
_AT_A_TIME = 16
_NEXT = f"SELECT rowid FROM records WHERE {_MAY_GO} ORDER BY place, changed LIMIT ?"
_PLACE = (
    f"SELECT max((SELECT coalesce(min(place), 0) FROM records WHERE turn = {WAITS}), "
    f"(SELECT coalesce(max(place), -1) + 1 FROM records WHERE turn = {WAITS} "
    "AND source_mac IS ? AND source_ip IS ?))"
)
#: Whether of these changes one is of a record that was let go.
_LET_GO_SINCE = f"SELECT 1 FROM records WHERE changed > ? AND changed <= ? AND turn = {WAITED} LIMIT 1"
_LET_GO = f"UPDATE records SET turn = {WAITED}, changed = ? WHERE rowid = ?"


def place(db: sqlite3.Connection, mac: str | None, ip: str | None) -> int:
    """Return the place in the order of turns of a sender's next record that has to wait."""
    return int(db.execute(_PLACE, (mac, ip)).fetchone()[0])


def any_wait(db: sqlite3.Connection) -> bool:
    """Tell whether a record waits that may be released."""
    return db.execute(f"SELECT 1 FROM records WHERE {_MAY_GO} LIMIT 1").fetchone() is not None


class Pace:
    """Lets waiting records go: where sinks are fed, as many as the slowest working one takes until
    the next look. Whatever is urgent stands behind them, however slow sink, disk and machine are.
    """

    def __init__(self) -> None:
        self._room = 1
        #: The change of the last one that went.
        self._last = 0

    def let_go(self, db: sqlite3.Connection, most: int, change: Callable[[], int]) -> int:
        """Let up to ``most`` waiting records go, within a transaction; return how many went."""
        (slowest,) = db.execute("SELECT min(changed) FROM cursors WHERE fed AND complaint = ''").fetchone()
        if slowest is not None:
            if db.execute(_LET_GO_SINCE, (slowest, self._last)).fetchone():
                self._room = max(1, self._room // 2)
                return 0
            most, self._room = min(most, self._room), min(_AT_A_TIME, 2 * self._room)
        rows = db.execute(_NEXT, (most,)).fetchall()
        for row in rows:
            self._last = change()
            db.execute(_LET_GO, (self._last, row[0]))
        return len(rows)
