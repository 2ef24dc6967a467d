# SPDX-License-Identifier: GPL-2.0-or-later
"""Removes rows from ``records``, and from everything that is kept with them: texts, counts and the
index of words."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from . import bodies, tallies, words


def leave(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Let a row be neither counted nor found: it is to be deleted or replaced in this transaction."""
    tallies.remove(db, row)
    unindex(db, row)


def unindex(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Take a row out of the index of words, if it is there."""
    if row["indexed"] == words.IN:
        words.remove(db, row["number"], words.of(row))


def delete(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> int:
    """Delete the rows that a condition holds for; return how many. The transaction is the caller's."""
    found = db.execute(f"SELECT {bodies.WHOLE} FROM records WHERE {where}", values).fetchall()
    for row in found:
        leave(db, row)
        db.execute("DELETE FROM records WHERE number = ?", (row["number"],))
        db.execute(bodies.DELETE, (row["number"],))
        tallies.settle(db, row["signature"])
    return len(found)
