# SPDX-License-Identifier: GPL-2.0-or-later
"""A record's number: its place among all records, by the time it was received.

It is the table's own key: lists are in the order of numbers, and new records come at the end. The
index of words (words.py) and the table of texts (bodies.py) know a record by it, too. Hello and bye
(greetings.py) are in the same order.
"""

from __future__ import annotations

import random
import sqlite3

#: Nanoseconds between two numbers: more records than one each microsecond cannot be stored.
_BITS = 10
#: A number that is taken gives way to the newest, if that is at most a second away, else to a free one
#: nearby. Which one is chance: to look for the next one takes as long as many came at that instant.
_NEAR = 1 << 20
#: From schema 2, where the order was that of received_ns and changed: the number of each row, in its order:
#: nobody sorts the texts.
CARRY_ON = f"""
CREATE TEMP TABLE numbered (number INTEGER PRIMARY KEY, row INTEGER NOT NULL);
INSERT INTO numbered SELECT max(wanted - place) OVER (ORDER BY place) + place, row FROM (
    SELECT rowid AS row, received_ns >> {_BITS} AS wanted,
    row_number() OVER (ORDER BY received_ns, changed) AS place FROM records);
"""
_TAKEN = "SELECT 1 FROM records WHERE number = ? UNION ALL SELECT 1 FROM greetings WHERE number = ?"
_NEWEST = (
    "SELECT max(coalesce((SELECT max(number) FROM records), 0), "
    "coalesce((SELECT max(number) FROM greetings), 0))"
)


def since(moment_ns: int) -> int:
    """Return the lowest number that a record received at this time may have."""
    return moment_ns >> _BITS


def free(db: sqlite3.Connection, received_ns: int) -> int:
    """Return a number for a record received at this time."""
    wanted = since(received_ns)
    if db.execute(_TAKEN, (wanted, wanted)).fetchone() is None:
        return wanted
    (newest,) = db.execute(_NEWEST).fetchone()
    if newest - wanted < _NEAR:
        return int(newest) + 1
    for bits in range(4, 64, 2):
        number = wanted + random.getrandbits(bits)
        if db.execute(_TAKEN, (number, number)).fetchone() is None:
            return number
    raise OverflowError(f"no number is free after {wanted}")
