# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes rows of ``records`` into the index of words, and removes them from everything that is kept with
them: texts, counts and that index."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from . import bodies, tallies, words

#: What a row takes beside text, metadata and words.
ROW_BYTES = 1024


def index(
    db: sqlite3.Connection, row: sqlite3.Row, its_words: words.Words, added: int, **news: str | int | None
) -> None:
    """Take a row into the index of words; from now on its size says that it takes ``added`` bytes there.
    ``news`` are other columns that change, by name."""
    words.add(db, row["number"], its_words)
    news = {**news, "indexed": words.IN, "size": taken(row["body"], row["metadata"]) + added}
    (before,) = db.execute("SELECT size FROM records WHERE number = ?", (row["number"],)).fetchone()
    changed = ", ".join(f"{name} = ?" for name in news)
    # All at once: SQLite writes the whole row each time.
    db.execute(f"UPDATE records SET {changed} WHERE number = ?", (*news.values(), row["number"]))
    tallies.resize(db, row["type"], news["size"] - before)


def taken(body: bytes | None, metadata: bytes | None) -> int:
    """Return some bytes that a record takes without its words."""
    return len(body or b"") + len(metadata or b"") + ROW_BYTES


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
