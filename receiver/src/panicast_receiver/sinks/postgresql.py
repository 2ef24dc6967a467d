# SPDX-License-Identifier: GPL-2.0-or-later
"""The central store: one PostgreSQL to which any number of receivers write.

It uses psycopg2, because every distribution has that driver for the Python that runs the receiver.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Callable

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from ..central import boots, expiring, merging, taking
from ..central.connection import Connection, first_line, parse_dsn, version
from ..db import groups
from ..db.retention import Retention
from ..log import logger
from ..text import escape
from . import Notice, Refused

#: Unless the connection string says otherwise: a server that does not answer is a failure, not a standstill.
_DEFAULTS = {
    "application_name": "panicast-receiver",
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",
    "options": "-c statement_timeout=60s -c lock_timeout=30s",
}

#: Nothing is deleted.
_ALL = Retention()
#: Seconds between two times that something is deleted, and for which that goes on.
_EXPIRE_S, _EXPIRING_S = 60.0, 2.0
#: Classes of SQLSTATE that are about the row: data, constraints, limits (of an index, too).
_REFUSALS = ("22", "23", "54")


class PostgreSQL:
    """A Sink, a Register and a Keeper. Copies records into a staging table and merges them from there,
    a batch in one transaction.

    It connects for each batch, because panics are rare, and so it finds a restarted server again.
    Raises UsageError if ``dsn`` is not a connection string.
    """

    def __init__(self, dsn: str, kept: Retention = _ALL) -> None:
        self.name = "postgresql"
        self._kept, self._expire_at = kept, 0.0
        self.most = 256
        self._parameters = {**_DEFAULTS, **parse_dsn(dsn)}

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        records = [notice.record for notice in batch]
        with self._connected() as connection:
            with connection, connection.cursor() as cursor:
                cursor.execute(merging.STAGE)
                cursor.copy_expert(merging.COPY, _lines(merging.line, records))
                _tell(cursor, _lines(merging.told, records))
                cursor.execute(merging.MERGE)
                cursor.execute(merging.BELIEVE)
                _take_in(cursor)
            while _take_older_in(connection):
                pass

    def hear(self, hosts: Sequence[Mapping[str, Any]]) -> None:
        """See Register."""
        with self._connected() as connection, connection, connection.cursor() as cursor:
            cursor.execute(boots.BEGIN)
            cursor.copy_expert(boots.COPY, _lines(boots.line, hosts))
            cursor.execute(taking.LOCK)
            for step in boots.BY_RECEIVERS:
                cursor.execute(step)

    def expire(self) -> None:
        """See Keeper."""
        if not (self._kept.days or self._kept.size) or time.monotonic() < self._expire_at:
            return
        end, gone = time.monotonic() + _EXPIRING_S, 1
        with self._connected() as connection:
            while gone and time.monotonic() < end:
                gone = expiring.expire(connection, self._kept)
        self._expire_at = 0.0 if gone else time.monotonic() + _EXPIRE_S

    @contextmanager
    def _connected(self) -> Iterator[psycopg2.extensions.connection]:
        """Connect to tables that are up to date. What goes wrong meanwhile is raised as Sink says."""
        try:
            with closing(psycopg2.connect(**self._parameters)) as connection:
                connection.set_client_encoding("UTF8")
                with connection, connection.cursor() as cursor:
                    _bring_up_to_date(cursor)
                yield connection
        except psycopg2.Error as error:
            if _is_about_a_row(error):
                raise Refused(first_line(error)) from error
            raise OSError(f"PostgreSQL: {first_line(error)}") from error


def _lines(make: Callable[[Mapping[str, Any]], str], records: Iterable[Mapping[str, Any]]) -> io.StringIO:
    return io.StringIO("".join(map(make, records)))


def _tell(cursor: psycopg2.extensions.cursor, lines: io.StringIO) -> None:
    """Say of which records the rest of the transaction is. Nobody else merges any until its end."""
    cursor.execute(taking.BEGIN)
    cursor.copy_expert(taking.COPY, lines)
    cursor.execute(taking.LOCK)
    cursor.execute(taking.FORMER)


def _take_in(cursor: psycopg2.extensions.cursor) -> None:
    spread = 1
    cursor.execute(taking.PLACE, (spread,))
    while cursor.rowcount:
        spread *= 4
        cursor.execute(taking.PLACE, (spread,))
    for step in taking.TAKE_IN:
        cursor.execute(step)
    db = Connection(cursor.connection)
    for row in db.execute(taking.RESOLVED).fetchall():
        if said := groups.seen(db, row):
            logger.warning("the central store: %s", escape(said))


def _is_about_a_row(error: psycopg2.Error) -> bool:
    return isinstance(error, psycopg2.DataError) or (error.pgcode or "")[:2] in _REFUSALS


def _take_older_in(connection: psycopg2.extensions.connection) -> bool:
    """Take some records in that an older receiver has merged; tell whether there were any. One that cannot
    be taken in keeps no other."""
    with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute(taking.OLDER)
        records = cursor.fetchall()
    if records and _refusal(connection, records):
        for record in records:
            if said := _refusal(connection, [record]):
                with connection, connection.cursor() as cursor:
                    cursor.execute(taking.LEAVE, (record["identity"],))
                logger.error("postgresql: older record %s is found by no word: %s", record["id"], said)
    return bool(records)


def _refusal(connection: psycopg2.extensions.connection, records: Sequence[Mapping[str, Any]]) -> str:
    """Take older records in; return why they cannot be, "" if they are."""
    try:
        with connection, connection.cursor() as cursor:
            _tell(cursor, _lines(merging.told_again, records))
            _take_in(cursor)
    except psycopg2.Error as error:
        if not _is_about_a_row(error):
            raise
        return first_line(error)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _bring_up_to_date(cursor: psycopg2.extensions.cursor) -> None:
    """Create the tables, or upgrade them from their version; nobody else does so meanwhile."""
    if version(cursor) == len(merging.MIGRATIONS):
        return
    cursor.execute(merging.LOCK)
    found = version(cursor)
    if found > len(merging.MIGRATIONS):
        raise OSError(
            f"PostgreSQL: the tables were made by a newer panicast-receiver (version {found}, this one knows "
            f"{len(merging.MIGRATIONS)}); upgrade this one"
        )
    for number, step in enumerate(merging.MIGRATIONS[found:], found + 1):
        cursor.execute(step)
        cursor.execute(merging.APPLIED, (number,))
