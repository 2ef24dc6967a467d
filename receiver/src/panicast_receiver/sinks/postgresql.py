# SPDX-License-Identifier: GPL-2.0-or-later
"""The central store: one PostgreSQL to which any number of receivers write.

It uses psycopg2, because every distribution has that driver for the Python that runs the receiver.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import closing

import psycopg2
import psycopg2.extensions

from ..errors import UsageError
from . import Notice, Refused, central

#: Unless the connection string says otherwise: a server that does not answer is a failure, not a standstill.
_DEFAULTS = {
    "application_name": "panicast-receiver",
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",
    "options": "-c statement_timeout=60s -c lock_timeout=30s",
}

#: Classes of SQLSTATE that are about the row: data, constraints, limits (of an index, too).
_REFUSALS = ("22", "23", "54")


class PostgreSQL:
    """Copies records into a staging table and merges them from there, a batch in one transaction.

    It connects for each batch, because panics are rare, and so it finds a restarted server again.
    Raises UsageError if ``dsn`` is not a connection string.
    """

    def __init__(self, dsn: str) -> None:
        self.name = "postgresql"
        self.most = 256
        try:
            given = psycopg2.extensions.parse_dsn(dsn)
        except psycopg2.ProgrammingError as error:
            raise UsageError(f"postgresql: {str(error).strip()}; right is what libpq takes") from error
        self._parameters = {**_DEFAULTS, **given}

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        rows = io.StringIO("".join(central.line(notice.record) for notice in batch))
        try:
            with closing(psycopg2.connect(**self._parameters)) as connection:
                connection.set_client_encoding("UTF8")
                with connection, connection.cursor() as cursor:
                    _bring_up_to_date(cursor)
                with connection, connection.cursor() as cursor:
                    cursor.execute(central.STAGE)
                    cursor.copy_expert(central.COPY, rows)
                    cursor.execute(central.MERGE)
                    cursor.execute(central.BELIEVE)
        except psycopg2.DataError as error:
            raise Refused(_first_line(error)) from error
        except psycopg2.Error as error:
            if (error.pgcode or "")[:2] in _REFUSALS:
                raise Refused(_first_line(error)) from error
            raise OSError(f"PostgreSQL: {_first_line(error)}") from error


def _first_line(error: psycopg2.Error) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _bring_up_to_date(cursor: psycopg2.extensions.cursor) -> None:
    """Create the tables, or upgrade them from their version; nobody else does so meanwhile."""
    if _version(cursor) == len(central.MIGRATIONS):
        return
    cursor.execute(central.LOCK)
    found = _version(cursor)
    if found > len(central.MIGRATIONS):
        raise OSError(
            f"PostgreSQL: the tables were made by a newer panicast-receiver (version {found}, this one knows "
            f"{len(central.MIGRATIONS)}); upgrade this one"
        )
    for version, step in enumerate(central.MIGRATIONS[found:], found + 1):
        cursor.execute(step)
        cursor.execute(central.APPLIED, (version,))


def _version(cursor: psycopg2.extensions.cursor) -> int:
    return _number(cursor, central.VERSION) if _number(cursor, central.HAS_TABLES) else 0


def _number(cursor: psycopg2.extensions.cursor, query: str) -> int:
    cursor.execute(query)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
