# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection to PostgreSQL that answers SQL as SQLite's does: the statements of db/ are for both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg2.extensions
import psycopg2.extras

_PLACEHOLDER = re.compile(r"\?(\d*)")
#: SQLite is told which index to use; PostgreSQL has counted what is in each.
_HINT = re.compile(r" INDEXED BY \w+")


@lru_cache(maxsize=512)
def translated(sql: str) -> str:
    """Return a statement with its values as psycopg2 has them: ? and ?1 have the numbers that SQLite
    gives them."""
    last = 0

    def place(match: re.Match[str]) -> str:
        nonlocal last
        number = int(match[1]) if match[1] else last + 1
        last = max(last, number)
        return f"%(v{number})s"

    return _PLACEHOLDER.sub(place, _HINT.sub("", sql).replace("%", "%%"))


class Connection:
    """Answers SQL as SQLite's connection does."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the rows."""
        cursor: Any = self._connection.cursor(cursor_factory=psycopg2.extras.DictCursor)
        cursor.execute(translated(sql), {f"v{number}": value for number, value in enumerate(values, 1)})
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Do the same with each row of values."""
        for row in rows:
            self.execute(sql, row)
