# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection to PostgreSQL that answers SQL as SQLite's does: the statements of db/ are for both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from ..errors import UsageError
from . import merging
from .copying import storable

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
        # A text is looked for as it would be stored.
        told = {
            f"v{number}": storable(value) if isinstance(value, str) else value
            for number, value in enumerate(values, 1)
        }
        cursor.execute(translated(sql), told)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Do the same with each row of values."""
        for row in rows:
            self.execute(sql, row)


def parse_dsn(dsn: str) -> dict[str, Any]:
    """Return what a connection string says. Raises UsageError."""
    try:
        return dict(psycopg2.extensions.parse_dsn(dsn))
    except psycopg2.ProgrammingError as error:
        raise UsageError(f"postgresql: {str(error).strip()}; right is what libpq takes") from error


def first_line(error: psycopg2.Error) -> str:
    """Return what PostgreSQL says of an error, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def version(cursor: psycopg2.extensions.cursor) -> int:
    """Return which version the tables have; 0: there are none."""
    return number(cursor, merging.VERSION) if number(cursor, merging.HAS_TABLES) else 0


def number(cursor: psycopg2.extensions.cursor, query: str) -> int:
    """Return the one number that a query answers."""
    cursor.execute(query)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
