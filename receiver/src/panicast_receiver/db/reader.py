# SPDX-License-Identifier: GPL-2.0-or-later
"""The reading side of the database: what list, show, follow and export query."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any, Callable, NamedTuple, TypeVar

from ..errors import NotFoundError
from ..records.record import Record, Source, kept_by
from ..text import iso_time
from ..wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED, parse_metadata
from . import (
    bodies,
    boots,
    changes,
    crashes,
    fleet,
    glance,
    greetings,
    grouped,
    groups,
    keys,
    labels,
    places,
    schema,
    search,
    turns,
)
from . import maintenance as windows
from .named import NamedFile
from .packing import from_signed, parse_gaps, row_to_record
from .query import Choice, Query, by_hosts, choices, limit

__all__ = ["Entry", "Query", "Reader"]

#: What is read of a record for its entry: columns, and what is found out by a question of their own.
_COLUMNS = (
    *("identity", "id", "changed", "format", "type", "host", "reason", "boot_id", "event", "flags"),
    *("frames", "restored", "time_ns", "received_ns", "text_length", "complete", "gaps", "mac"),
    *("source_ip", "source_iface", "metadata", "title", "signature", "crash", "failure", "contested"),
    *("doubted", "turn", "number"),
)
_FOUND = {
    "same_crash": crashes.OTHERS,
    "regression": groups.IS_REGRESSION,
    "group_state": groups.SHOWN.format("records"),
    "labels": labels.OF.format("records"),
    "maintenance": windows.OF.format(table="records", at="records.received_ns"),
}
_SUMMARY = ", ".join((*_COLUMNS, *(f"{sql} AS {name}" for name, sql in _FOUND.items())))
_NAMES = (*_COLUMNS, *_FOUND)
#: Whether a host is to be in a maintenance window.
_IN_WINDOW = {None: "1", True: "maintenance IS NOT NULL", False: "maintenance IS NULL"}
T = TypeVar("T")
#: SQLite's steps between two looks at the clock, a millisecond.
_STEPS = 20_000


class Entry(NamedTuple):
    """One record without its text: ``summary`` is the object that ``list --json`` prints."""

    identity: bytes
    changed: int
    summary: dict[str, Any]
    received_ns: int
    #: See numbers.py.
    number: int
    #: See turns.py.
    turn: int = turns.AT_ONCE


class Reader:
    """A read-only view of a state folder's database. Raises ReceiverError if SQLite fails."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / schema.FILE_NAME
        # First: what is put in its place meanwhile is noticed then, if once too often.
        self._named = NamedFile(self.path)
        self._db, self.frozen = schema.open_reader(self.path)
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def until(self, deadline: float) -> None:
        """Set a deadline, a reading of the monotonic clock: an answer that takes longer raises
        ReceiverError."""
        self._db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)

    def log_exists(self) -> bool:
        """Tell whether a service has begun to write since a frozen database was opened."""
        return schema.has_log(self.path)

    def replaced(self) -> bool:
        """Tell whether another file has the database's name now."""
        return self._named.changed()

    def size(self) -> int:
        """Return the bytes of the database on the disk, its write-ahead log included."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def select(self, query: Query) -> list[Entry]:
        """Return the matching records, oldest first; ``limit`` keeps the newest."""
        found = [self._chosen(one, f"{one.order} DESC", limit(query)) for one in choices(query)]
        newest = merge(*found, key=lambda entry: entry.number, reverse=True)
        return list(islice(newest, query.limit))[::-1]

    def every(self, query: Query) -> Iterator[Entry]:
        """Yield the matching records, oldest first, one at a time; ``limit`` does not count."""
        found = [self._chosen(one, one.order) for one in choices(query)]
        yield from merge(*found, key=lambda entry: entry.number)

    def changed_since(self, cursor: int, query: Query) -> list[Entry]:
        """Return the matching records stored or completed after ``cursor``, in that order;
        ``limit`` keeps the first. Of words that are looked for, those are among them whose meaning
        is not known: nobody can tell yet."""
        # What is written between two looks comes with the next call.
        newest, found = self.cursor(), []
        for one in choices(query, pending=True):
            where = f"changed > ? AND changed <= ? AND turn != {turns.WAITS} AND {one.where}"
            due = one._replace(where=where, values=[cursor, newest, *one.values])
            found.append(self._chosen(due, "changed", limit(query)))
        return list(islice(merge(*found, key=lambda entry: entry.changed), query.limit))

    def groups(self, query: Query) -> list[dict[str, Any]]:
        """Return the objects that ``groups --json`` prints: the same crash of many hosts once,
        newest last."""
        rows = grouped.select(self._rows, query)
        return [
            {
                "signature": row["signature"],
                "title": row["titles"][0] if row["titles"] else None,
                "titles": row["titles"],
                "records": row["records"],
                "hosts": row["hosts"],
                "first": iso_time(row["first_ns"]),
                "last": iso_time(row["last_ns"]),
                "kernels": row["kernels"],
                "status": self._ask(groups.status, row["signature"]),
            }
            for row in reversed(rows)
        ]

    def group(self, prefix: str) -> dict[str, Any]:
        """Return the one group whose signature starts with ``prefix``, with what was decided about
        it and where it was seen. Raises ReceiverError if there is none or several."""
        signature = self._ask(groups.full, prefix)
        known = self.groups(Query(group=signature, folded=True))
        # Its records may be deleted; what was decided stays.
        gone: dict[str, Any] = {
            "title": None,
            "titles": [],
            "records": 0,
            "hosts": 0,
            "first": None,
            "last": None,
        }
        group = known[0] if known else {**gone, "kernels": [], "status": self._ask(groups.status, signature)}
        return {**group, "signature": signature, **self._ask(groups.story, signature)}

    def _ask(self, question: Callable[[sqlite3.Connection, str], T], signature: str) -> T:
        try:
            return question(self._db, signature)
        except sqlite3.Error as error:
            raise schema.failure(error, self.path) from error

    def timelines(
        self, query: Query, signatures: Sequence[str], start_ns: int, width_ns: int
    ) -> dict[str, dict[int, int]]:
        """See grouped.timelines()."""
        return grouped.timelines(self._rows, query, signatures, start_ns, width_ns)

    def totals(self) -> list[dict[str, Any]]:
        """Return for each type: {type, records, incomplete, last_ns}."""
        sql = "SELECT type, records, incomplete, last_ns FROM type_tallies WHERE records > 0"
        return [dict(row) for row in self._rows(sql, [])]

    def group_count(self) -> int:
        """Return the number of groups."""
        return int(next(self._rows("SELECT count(*) FROM groups", []))[0])

    def backlogs(self) -> dict[str, int]:
        """Return how many records each sink has not received yet."""
        sql = (
            "SELECT sink, (SELECT count(*) FROM records "
            "WHERE records.changed > cursors.changed OR turn = 1) AS records FROM cursors"
        )
        return {row["sink"]: row["records"] for row in self._rows(sql, [])}

    def hosts(
        self,
        ages: boots.Ages,
        now_ns: int,
        state: str | None = None,
        words: Sequence[str] = (),
        limit: int | None = None,
        maintenance: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Return the objects that ``hosts --json`` prints, by name; with a ``limit`` those that want to
        be seen come first. ``words`` are found in the host's name, kernel or address, or are its labels
        (label:rack=r12). Those that are retired are left out unless they are asked for.
        ``maintenance``: only those that are in a window, or that are in none."""
        order = " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(boots.STATES))
        where, values = _named(words)
        window = windows.OF.format(table="boots", at=int(now_ns))
        sql = (
            f"SELECT *, {boots.SHOWN} AS shown, {labels.OF.format('boots')} AS labels, "
            f"{window} AS maintenance FROM boots WHERE current AND {where} "
            f"AND {'shown = ?' if state else 'shown != ?'} AND {_IN_WINDOW[maintenance]} "
            f"ORDER BY {f'CASE shown {order} END, ' if limit else ''}host, last_ns LIMIT ?"
        )
        rows = self._rows(
            sql, [*ages.values(now_ns), *values, state or "retired", -1 if limit is None else limit]
        )
        return [boots.show(row) for row in rows]

    def host_states(self, ages: boots.Ages, now_ns: int, words: Sequence[str] = ()) -> dict[str, int]:
        """Return how many hosts are in each state that any is in."""
        where, values = _named(words)
        sql = (
            f"SELECT {boots.SHOWN} AS shown, count(*) AS hosts FROM boots WHERE current AND {where} "
            "GROUP BY shown"
        )
        rows = self._rows(sql, [*ages.values(now_ns), *values])
        return {row["shown"]: row["hosts"] for row in rows}

    def maintained(self, ages: boots.Ages, now_ns: int) -> dict[str, int]:
        """Return how many of them are in a maintenance window, by state."""
        return windows.states(self._rows, boots.SHOWN, ages.values(now_ns), now_ns)

    def labelled(self, ages: boots.Ages, now_ns: int) -> dict[tuple[str, str, str], int]:
        """See labels.counts()."""
        return labels.counts(self._rows, boots.SHOWN, ages.values(now_ns))

    def windows(self, now_ns: int, over: bool = False) -> list[dict[str, Any]]:
        """See maintenance.windows()."""
        return windows.windows(self._rows, now_ns, over)

    def window(self, number: int, now_ns: int) -> dict[str, Any]:
        """See maintenance.window()."""
        return windows.window(self._rows, number, now_ns)

    def kernels(self, since_ns: int, now_ns: int) -> list[dict[str, Any]]:
        """See fleet.kernels()."""
        return fleet.kernels(self._rows, since_ns, now_ns)

    def boots_of(self, host: str, ages: boots.Ages, now_ns: int) -> list[dict[str, Any]]:
        """See fleet.boots_of()."""
        return fleet.boots_of(self._rows, host, ages, now_ns)

    def burning(self, ages: boots.Ages, now_ns: int) -> dict[str, int]:
        """See glance.burning()."""
        return glance.burning(self._rows, ages, now_ns)

    def states_of(self, hosts: Sequence[str], ages: boots.Ages, now_ns: int) -> dict[str, str]:
        """See glance.states()."""
        return glance.states(self._rows, hosts, ages, now_ns)

    def cursor(self) -> int:
        """Return the ``changed`` of the newest change."""
        return int(next(self._rows(changes.NEWEST, []))[0])

    def data_version(self) -> int:
        """Return a number that differs if another process has committed since the last call."""
        return int(next(self._rows("PRAGMA data_version", []))[0])

    def find(self, prefix: str) -> Entry:
        """Return the one record whose id starts with ``prefix``. Raises ReceiverError if there is
        none or several."""
        # "g" sorts after every hexadecimal digit.
        where, order = "id >= ?1 AND id < ?2", "ORDER BY id LIMIT 6"
        wanted, found = prefix.lower(), []
        for source in (keys.either(where, order), f"{greetings.AS_RECORDS} WHERE {where}"):
            sql = f"SELECT {_SUMMARY} FROM {source} {order}"
            found += [_entry(row) for row in self._rows(sql, [wanted, wanted + "g"])] if wanted else []
        if not found:
            raise NotFoundError(
                f"no record has an id that starts with {prefix!r}; "
                "`panicast-receiver list --all` shows them all"
            )
        if len(found) > 1:
            ids = ", ".join(entry.summary["id"] for entry in found[:5]) + (", …" if len(found) > 5 else "")
            raise NotFoundError(f"{prefix!r} matches several records: {ids}; give more of the id")
        return found[0]

    def by_identity(self, identity: bytes) -> Entry | None:
        """Return a record, but not a hello or bye; None if there is none."""
        sql = f"SELECT {_SUMMARY} FROM records WHERE {keys.IN_BOTH} AND identity = ?"
        return next((_entry(row) for row in self._rows(sql, [identity])), None)

    def has_complete(self, identity: bytes) -> bool:
        """Tell whether a record is stored complete."""
        sql = f"SELECT 1 FROM records WHERE {keys.IN_BOTH} AND identity = ? AND complete"
        return next(self._rows(sql, [identity]), None) is not None

    def load(self, entry: Entry) -> Record:
        """Return the whole record, text included."""
        key = [entry.number, entry.identity]
        sources = (f"SELECT {bodies.WHOLE} FROM records", f"SELECT * FROM {greetings.AS_RECORDS}")
        for source in sources:
            row = next(self._rows(f"{source} WHERE number = ? AND identity = ?", key), None)
            if row is not None:
                return row_to_record(row)
        raise NotFoundError(f"record {entry.summary['id']} is gone: a newer one of its host replaced it")

    def _chosen(self, choice: Choice, order: str, most: int = -1) -> Iterator[Entry]:
        if labels.are_few(self._rows, choice.terms):
            choice = by_hosts(choice)
        sql = f"SELECT {_SUMMARY} FROM {choice.source} WHERE {choice.where} ORDER BY {order} LIMIT ?"
        yield from map(_entry, self._rows(sql, [*choice.values, most]))

    def places(self, entry: Entry) -> list[dict[str, Any]]:
        """Return file and line of what a record's crash is about, see places.of()."""
        crash = entry.summary["crash"] or {}
        try:
            return places.of(self._db, crash.get("kernel", ""), crash.get("code", ()))
        except sqlite3.Error as error:
            raise schema.failure(error, self.path) from error

    def _rows(self, sql: str, values: list[Any]) -> Iterator[sqlite3.Row]:
        try:
            yield from self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise schema.failure(error, self.path) from error


def _named(words: Sequence[str]) -> tuple[str, list[Any]]:
    parts, values = ["1"], list[Any]()
    for word in words:
        if (term := search.label_of(word)) is not None:
            has, its_values = labels.having([term], "boots.host")
            parts += has
            values += its_values
            continue
        parts.append("(host || ' ' || kernel || ' ' || coalesce(source_ip, '')) LIKE ? ESCAPE '\\'")
        values.append("%" + re.sub(r"([\\%_])", r"\\\1", word) + "%")
    return " AND ".join(parts), values


def _crash(text: str | None) -> Any:
    """Return what is known of the crash; nothing if the disk has corrupted it."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _entry(found: sqlite3.Row) -> Entry:
    # A Row looks for each name among all.
    row = dict(zip(_NAMES, found))
    meta = parse_metadata(row["metadata"] or b"")
    gaps = [
        {"offset": offset, "bytes": length} for offset, length in parse_gaps(row["gaps"], row["text_length"])
    ]
    source = Source(row["mac"], row["source_ip"], row["source_iface"])
    return Entry(
        row["identity"],
        row["changed"],
        {
            "id": row["id"],
            "identity": row["identity"].hex(),
            "type": row["type"],
            "format": row["format"],
            "host": row["host"],
            "labels": json.loads(row["labels"]),
            "maintenance": row["maintenance"],
            "boot_id": row["boot_id"].hex() if row["boot_id"] is not None else None,
            "event": row["event"],
            "reason": row["reason"],
            "time": iso_time(from_signed(row["time_ns"])),
            "received": iso_time(row["received_ns"]),
            "complete": bool(row["complete"]),
            "gaps": gaps,
            "metadata_missing": row["metadata"] is None,
            "bytes": row["text_length"],
            "frames": row["frames"],
            "restored": row["restored"],
            "sealed": bool(row["flags"] & FLAG_SEALED),
            "contested": bool(row["contested"]),
            "doubted": bool(row["doubted"]),
            "older_text": bool(row["flags"] & FLAG_OLDER_TEXT),
            "kept": kept_by(row["event"], meta),
            "same_crash": json.loads(row["same_crash"]) if row["same_crash"] != "[]" else [],
            "release": meta.get("release", ""),
            "title": row["title"] or row["reason"],
            "signature": row["signature"] or "",
            "group_state": row["group_state"] if row["signature"] else "",
            "regression": bool(row["regression"]),
            "crash": _crash(row["crash"]),
            "meaning": "pending" if row["signature"] is None else "failed" if row["failure"] else "found",
            "meaning_failure": row["failure"],
            "source": {"mac": source.mac, "ip": source.ip, "iface": source.iface},
            "meta": meta,
        },
        row["received_ns"],
        row["number"],
        row["turn"],
    )
