# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL, the central store, as db/reader.py asks it.

Connections are kept between questions, because to log in takes longer than to answer. There are no
more of them than threads that ask at once. One whose server has gone is replaced by a new one.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2
import psycopg2.extensions

from ..db.engine import FOUND, Entry
from ..db.packing import placed
from ..db.schema import TOO_LONG
from ..errors import AwayError, ReceiverError
from ..records.fields import FIELDS
from ..records.record import Record
from ..records.record import Source as Sender
from ..text import iso_time
from ..wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED
from . import merging, taking
from .connection import Connection, first_line, parse_dsn, version
from .words import FINDER

#: A page waits no longer than a visitor does.
_DEFAULTS = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "client_encoding": "UTF8",
}
#: Milliseconds of a question that has no deadline of its own.
_LONGEST_MS = 10_000
#: Rows of a long answer that are fetched at a time, and milliseconds that this may take: the first may be
#: found last.
_AT_A_TIME, _STEP_MS = 500, 60_000
_CANCELED, _NO_RIGHT = "57014", "42501"
_COLUMNS = (*(field.name for field in FIELDS if field.column), "received_ns", "changed", "number", "turn")
_NUMERIC, _BYTEA = 1700, 17


def _number(text: Any, _: Any) -> int | float | None:
    """Return a sum, which PostgreSQL gives as a decimal number."""
    return None if text is None else float(text) if "." in text else int(text)


def _bytes(text: Any, cursor: Any) -> bytes | None:
    found = psycopg2.BINARY(text, cursor)
    return None if found is None else bytes(found)


_TYPES = (
    psycopg2.extensions.new_type((_NUMERIC,), "PANICAST_NUMBER", _number),
    psycopg2.extensions.new_type((_BYTEA,), "PANICAST_BYTES", _bytes),
)


class PostgreSQL:
    """See Engine. Made by ``Central``."""

    summary = ", ".join((*_COLUMNS, *(f"{sql} AS {name}" for name, sql in FOUND.items())))
    finder = FINDER
    greets = False
    sealed = "sealed"
    whole: tuple[str, ...] = ("SELECT * FROM records WHERE number = ? AND identity = ?",)

    def __init__(self, store: Central, connection: psycopg2.extensions.connection) -> None:
        self._store = store
        self._connection = connection
        self._deadline = float("inf")
        self.db = Connection(connection)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """See Engine."""
        if time.monotonic() > self._deadline:
            raise ReceiverError(TOO_LONG)
        try:
            yield
        except psycopg2.Error as error:
            raise explain(error) from error

    def each(self, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        """See Engine."""
        try:
            self.db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            self.db.execute(f"SET LOCAL statement_timeout = {_STEP_MS}")
            self.db.execute(f"DECLARE each_row NO SCROLL CURSOR FOR {sql}", values)
            while rows := self.db.execute(f"FETCH {_AT_A_TIME} FROM each_row").fetchall():
                yield from rows
        finally:
            with contextlib.suppress(psycopg2.Error):
                self.db.execute("ROLLBACK")

    def until(self, deadline: float) -> None:
        """See Engine."""
        self._deadline = deadline
        left_ms = max(1, int((deadline - time.monotonic()) * 1000))
        with self.explained():
            self.db.execute("SELECT set_config('statement_timeout', ?, false)", [f"{left_ms}ms"])

    def version(self) -> int:
        """See Engine."""
        with self.explained():
            return int(self.db.execute("SELECT value FROM counters WHERE name = 'changed'").fetchone()[0])

    def is_stale(self) -> bool:
        """See Engine."""
        return bool(self._connection.closed)

    def size(self) -> int:
        """See Engine."""
        sql = (
            "SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0) FROM pg_class "
            "JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE nspname = 'panicast' AND relkind = 'r'"
        )
        with self.explained():
            return int(self.db.execute(sql).fetchone()[0])

    def close(self) -> None:
        """Leave the connection to the next question."""
        self._store.give_back(self._connection)

    @staticmethod
    def record(row: Any) -> Record:
        """See Engine."""
        gaps = [[gap["offset"], gap["bytes"]] for gap in row["gaps"]]
        data = row["text"].encode("utf-8", "backslashreplace") if row["raw"] is None else row["raw"]
        flags = FLAG_SEALED * row["sealed"] | FLAG_OLDER_TEXT * row["older_text"]
        return Record(
            identity=row["identity"],
            format=row["format"],
            type=row["type"],
            header_host=row["host"],
            boot_id=bytes.fromhex(row["boot_id"].replace("-", "")) if row["boot_id"] else None,
            event=row["event"],
            flags=flags,
            frames=row["frames"],
            time_ns=None,
            received_ns=row["received_ns"],
            text_length=row["bytes"],
            metadata=None if row["metadata_missing"] else b"",
            runs=placed(data, gaps, row["bytes"]),
            source=Sender(*(row["source"].get(name) for name in ("mac", "ip", "iface"))),
            restored=row["restored"],
        )

    @staticmethod
    def entry(row: Any) -> Entry:
        """See Engine."""
        found = {
            **row,
            "identity": row["identity"].hex(),
            "boot_id": row["boot_id"].replace("-", "") if row["boot_id"] else None,
            "time": _iso(row["time"]),
            "received": iso_time(row["received_ns"]),
            "same_crash": json.loads(row["same_crash"]),
            "labels": json.loads(row["labels"]),
            "group_state": row["group_state"] if row["signature"] else "",
        }
        summary = {field.name: found[field.name] for field in FIELDS}
        return Entry(row["identity"], row["changed"], summary, row["received_ns"], row["number"], row["turn"])


def _iso(moment: Any) -> str | None:
    """Return the sender's time, of which the store has microseconds."""
    return None if moment is None else f"{moment.replace(tzinfo=None).isoformat('T', 'microseconds')}000Z"


def explain(error: psycopg2.Error) -> ReceiverError:
    """Return PostgreSQL's error as a sentence that says what to do."""
    said = first_line(error)
    if error.pgcode == _CANCELED:
        return AwayError(TOO_LONG)
    if error.pgcode == _NO_RIGHT:
        return ReceiverError(
            f"the central store does not allow that: {said}; docs/receiver.md lists what the page's user "
            "and who changes things need"
        )
    if isinstance(error, psycopg2.ProgrammingError):
        return ReceiverError(f"the central store does not have what is asked for: {said}")
    return AwayError(f"the central store does not answer: {said}; what asks it works again when it does")


class Central:
    """A central store. To call it opens it, for one question after the other. Raises ReceiverError."""

    def __init__(self, dsn: str, command: str = "web") -> None:
        name = {"application_name": f"panicast-receiver {command}"}
        self._parameters: dict[str, Any] = {**_DEFAULTS, **name, **parse_dsn(dsn)}
        self._idle: list[psycopg2.extensions.connection] = []
        self._lock = threading.Lock()

    def __call__(self) -> PostgreSQL:
        try:
            connection = self._take() or self._connect()
        except psycopg2.Error as error:
            raise explain(error) from error
        return PostgreSQL(self, connection)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Connection]:
        """See Server."""
        try:
            with contextlib.closing(self._connect(readonly=False)) as connection, connection:
                with connection.cursor() as cursor:
                    cursor.execute(taking.LOCK)
                yield Connection(connection)
        except psycopg2.Error as error:
            raise explain(error) from error

    def give_back(self, connection: psycopg2.extensions.connection) -> None:
        """Keep a connection that still works for the next question."""
        if not connection.closed:
            with self._lock:
                self._idle.append(connection)

    def _take(self) -> psycopg2.extensions.connection | None:
        """Return a connection that works; None if there is none."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            # The server may have gone since.
            with contextlib.suppress(psycopg2.Error), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, false)", (f"{_LONGEST_MS}ms",))
                return connection
            connection.close()

    def _connect(self, readonly: bool = True) -> psycopg2.extensions.connection:
        connection: psycopg2.extensions.connection = psycopg2.connect(**self._parameters)
        try:
            connection.set_session(readonly=readonly, autocommit=True)
            for one in _TYPES:
                psycopg2.extensions.register_type(one, connection)
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SET statement_timeout = '{_LONGEST_MS}ms'; SET TimeZone = 'UTC'; "
                    "SET search_path = panicast"
                )
                _check_version(cursor)
            # A question is a transaction of its own; a change is one of several statements.
            connection.autocommit = readonly
        except BaseException:
            connection.close()
            raise
        return connection


def _check_version(cursor: psycopg2.extensions.cursor) -> None:
    found, known = version(cursor), len(merging.MIGRATIONS)
    if not found:
        raise ReceiverError(
            "the central store has no tables yet: the first receiver that tells it of a record makes them"
        )
    if found < known:
        raise ReceiverError(
            f"the tables of the central store are of version {found}, this program needs {known}: the next "
            "record from a receiver of this version brings them up to date"
        )
    if found > known:
        raise ReceiverError(
            f"the tables of the central store are of version {found}, this program knows {known}; upgrade it"
        )
