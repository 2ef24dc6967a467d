# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and lines of places in the kernels' code: those that are looked for, and those that were found.

They are kept by kernel and place, not by record: ten thousand records of one crash need a few.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

#: lines: JSON [[function, file, line], …], innermost first; NULL: nobody has looked yet.
SCHEMA = """
CREATE TABLE places (
    kernel TEXT NOT NULL,
    code TEXT NOT NULL,
    lines TEXT,
    asked_ns INTEGER NOT NULL,
    PRIMARY KEY (kernel, code)
) WITHOUT ROWID;
CREATE INDEX places_wanted ON places (kernel) WHERE lines IS NULL;
CREATE INDEX places_by_age ON places (asked_ns);
"""
#: Rows that are kept: what hosts make up must not fill the disk.
MOST = 200_000
#: Rows beyond that are deleted so many at a time; places of one kernel that are looked for at once.
_STEP, _MOST_AT_ONCE = 1000, 200
_NONE = "[]"


class Wanted(NamedTuple):
    """Places of a kernel that somebody should look for."""

    kernel: str
    codes: Sequence[str]


def want(db: sqlite3.Connection, kernel: str, codes: Iterable[str]) -> None:
    """Note that these places are looked for, unless they are known."""
    now_ns = time.time_ns()
    rows = ((kernel, code, now_ns) for code in codes)
    db.executemany("INSERT OR IGNORE INTO places (kernel, code, asked_ns) VALUES (?, ?, ?)", rows)


def wanted(db: sqlite3.Connection) -> Wanted | None:
    """Return places that nobody has looked for yet; None if there are none."""
    row = db.execute("SELECT kernel FROM places WHERE lines IS NULL LIMIT 1").fetchone()
    if row is None:
        return None
    found = db.execute(
        "SELECT code FROM places INDEXED BY places_wanted WHERE kernel = ? AND lines IS NULL LIMIT ?",
        (row[0], _MOST_AT_ONCE),
    )
    return Wanted(row[0], [one[0] for one in found])


def keep(db: sqlite3.Connection, kernel: str, found: Iterable[tuple[str, Sequence[Sequence[Any]]]]) -> None:
    """Store what was found of places."""
    for code, lines in found:
        db.execute(
            "UPDATE places SET lines = ? WHERE kernel = ? AND code = ?", (json.dumps(lines), kernel, code)
        )


def prune(db: sqlite3.Connection) -> bool:
    """Of the oldest, forget some of what is too many; tell whether there is more."""
    surplus = int(db.execute("SELECT count(*) FROM places").fetchone()[0]) - MOST
    if surplus > 0:
        db.execute(
            "DELETE FROM places WHERE (kernel, code) IN "
            "(SELECT kernel, code FROM places ORDER BY asked_ns LIMIT ?)",
            (min(surplus, _STEP),),
        )
    return surplus > _STEP


def look_again(db: sqlite3.Connection) -> None:
    """Forget what was not found: there may be other files now."""
    db.execute("DELETE FROM places WHERE lines = ?", (_NONE,))


def of(db: sqlite3.Connection, kernel: str, codes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the objects that ``show --json`` prints of places: an empty list if no line is known."""
    found = []
    for code in codes:
        row = db.execute("SELECT lines FROM places WHERE kernel = ? AND code = ?", (kernel, code)).fetchone()
        lines = json.loads(row[0]) if row and row[0] else []
        found.append(
            {
                "code": code,
                "lines": [{"function": one[0], "file": one[1], "line": one[2]} for one in lines],
            }
        )
    return found if any(one["lines"] for one in found) else []
