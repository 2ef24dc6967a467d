# SPDX-License-Identifier: GPL-2.0-or-later
"""What the questions of reader.py need of a database: SQLite (sqlite.py) and PostgreSQL (central/) have it.

The SQL is the same for both. It is what SQLite and PostgreSQL understand alike, with ``?`` and ``?1``
for values. The tables and columns have the same names. PostgreSQL gets the few functions of SQLite
that it has not (central/tables.py); what else differs is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Union

from ..records.record import Record
from . import crashes, groups, labels, maintenance, queueing
from .search import Finder

#: What is found out about a record by a question of its own, where ``records`` is the table.
FOUND = {
    "same_crash": crashes.OTHERS,
    "regression": groups.IS_REGRESSION,
    "group_state": groups.SHOWN.format("records"),
    "labels": labels.OF.format("records"),
    "maintenance": maintenance.OF.format(table="records", at="records.received_ns"),
}


class Entry(NamedTuple):
    """One record without its text: ``summary`` is the object that ``list --json`` prints."""

    identity: bytes
    changed: int
    summary: dict[str, Any]
    received_ns: int
    #: See numbers.py.
    number: int
    #: See queueing.py.
    turn: int = queueing.AT_ONCE


class Engine(Protocol):
    """An open database."""

    #: What is selected of records for an entry; how words are looked for; whether hello and bye are there;
    #: statements that give a whole record by its number and identity, the first that gives one.
    summary: str
    finder: Finder
    greets: bool
    #: Whether a record is sealed, in SQL.
    sealed: str
    whole: tuple[str, ...]

    @property
    def db(self) -> Any:
        """Return what answers SQL, as SQLite's connection does: by ``execute``, with rows of values by name
        and by place."""

    def each(self, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        """Yield the rows of an answer that need not fit into memory, all of one moment."""

    def entry(self, row: Any) -> Entry:
        """Return the entry of a row of ``summary``."""

    def record(self, row: Any) -> Record:
        """Return the record of a row of ``whole``."""

    def explained(self) -> AbstractContextManager[None]:
        """Raise what the database finds meanwhile as a ReceiverError."""

    def until(self, deadline: float) -> None:
        """Let no answer take longer than this reading of the monotonic clock."""

    def version(self) -> int:
        """Return a number that differs if another process has written since the last call."""

    def is_stale(self) -> bool:
        """Tell whether it sees no more of what others write."""

    def size(self) -> int:
        """Return its bytes on the disk."""

    def close(self) -> None:
        """Close it."""


class Server(Protocol):
    """A database elsewhere. It raises ReceiverError."""

    def __call__(self) -> Engine:
        """Open it for some questions."""

    def changing(self) -> AbstractContextManager[Any]:
        """Yield what answers SQL, and let nobody else write meanwhile: all that it does is done, or
        nothing."""


#: Where a database is.
Place = Union[Path, Server]
