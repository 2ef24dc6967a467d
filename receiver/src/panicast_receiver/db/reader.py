# SPDX-License-Identifier: GPL-2.0-or-later
"""The reading side of the database: what list, show, follow and export query."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple, TypeVar

from ..errors import NotFoundError
from ..records.record import Record, Source, kept_by
from ..text import iso_time
from ..wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED, parse_metadata
from . import (
    boots,
    changes,
    crashes,
    fleet,
    glance,
    groups,
    keys,
    numbers,
    places,
    schema,
    search,
    tallies,
    turns,
)
from .named import NamedFile
from .packing import from_signed, parse_gaps, row_to_record

_SUMMARY = (
    "identity, id, changed, format, type, host, reason, boot_id, event, flags, frames, restored, time_ns, "
    "received_ns, text_length, complete, gaps, mac, source_ip, source_iface, metadata, title, signature, "
    f"crash, failure, contested, doubted, turn, number, {crashes.OTHERS} AS same_crash, "
    f"{groups.IS_REGRESSION} AS regression, {groups.SHOWN.format('records')} AS group_state"
)
T = TypeVar("T")
#: Digits of a signature.
_SIGNATURE = 12
#: SQLite's steps between two looks at the clock, a millisecond.
_STEPS = 20_000


class Query(NamedTuple):
    """Selects records. None means no restriction. ``everything`` adds hello and bye."""

    type: str | None = None
    host: str | None = None
    since_ns: int | None = None
    limit: int | None = None
    everything: bool = False
    #: The signature of the crash, or how it begins.
    group: str | None = None
    #: What a person looks for, in the language of search.py.
    search: str | None = None
    #: Only records with a lower number: what follows in a list with the newest first.
    before: int | None = None
    #: Only groups in this state, see groups.py.
    state: str | None = None
    #: A crash once: without what was kept of it, where what it sent itself is there.
    folded: bool = False


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
        source, where, values = _conditions(query)
        sql = f"SELECT {_SUMMARY} FROM {source} WHERE {where} ORDER BY {_order(source)} DESC LIMIT ?"
        return [_entry(row) for row in reversed(list(self._rows(sql, [*values, _limit(query)])))]

    def every(self, query: Query) -> Iterator[Entry]:
        """Yield the matching records, oldest first, one at a time; ``limit`` does not count."""
        source, where, values = _conditions(query)
        sql = f"SELECT {_SUMMARY} FROM {source} WHERE {where} ORDER BY {_order(source)}"
        yield from map(_entry, self._rows(sql, values))

    def changed_since(self, cursor: int, query: Query) -> list[Entry]:
        """Return the matching records stored or completed after ``cursor``, in that order;
        ``limit`` keeps the first. Of words that are looked for, those are among them whose meaning
        is not known: nobody can tell yet."""
        source, where, values = _conditions(query, pending=True)
        sql = (
            f"SELECT {_SUMMARY} FROM {source} WHERE changed > ? AND turn != {turns.WAITS} AND {where} "
            "ORDER BY changed LIMIT ?"
        )
        rows = self._rows(sql, [cursor, *values, _limit(query)])
        return [_entry(row) for row in rows]

    def groups(self, query: Query) -> list[dict[str, Any]]:
        """Return the objects that ``groups --json`` prints: the same crash of many hosts once,
        newest last."""
        rows = self._counted_groups(query) if _is_plain(query) else self._chosen_groups(query)
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

    def _counted_groups(self, query: Query) -> list[dict[str, Any]]:
        """Of all records, or all since a time: what tallies.py counts, newest first."""
        where, values = _of_group(query)
        since = query.since_ns or 0
        sql = f"SELECT * FROM groups WHERE last_ns >= ? AND {where} ORDER BY last_ns DESC LIMIT ?"
        found = [dict(row) for row in self._rows(sql, [since, *values, _limit(query)])]
        copies = self._copies(since) if query.folded else {}
        for group in found:
            chosen: Iterator[sqlite3.Row] | list[sqlite3.Row]
            if group["first_ns"] >= since:
                names = "SELECT kernel, title FROM group_names WHERE signature = ?"
                chosen = list(self._rows(names, [group["signature"]]))
            else:
                part = "FROM records WHERE signature = ? AND number >= ?"
                key = [group["signature"], numbers.since(since)]
                counts = "count(*) AS records, count(DISTINCT host) AS hosts, min(received_ns) AS first_ns"
                group.update(dict(next(self._rows(f"SELECT {counts} {part}", key))))
                chosen = list(self._rows(f"SELECT DISTINCT kernel, title {part}", key))
            group["records"] -= copies.get(group["signature"], 0)
            group["kernels"] = sorted({row["kernel"] for row in chosen if row["kernel"]})
            group["titles"] = sorted({row["title"] for row in chosen if row["title"]})
        return [group for group in found if group["records"] > 0]

    def _copies(self, since_ns: int) -> dict[str, int]:
        """Return how many records of each group are copies of others."""
        sql = (
            "SELECT signature, count(*) AS records FROM records INDEXED BY panics_kept "
            f"WHERE {crashes.COPY} "
            "AND signature != '' AND received_ns >= ? GROUP BY signature"
        )
        return {row["signature"]: row["records"] for row in self._rows(sql, [since_ns])}

    def _chosen_groups(self, query: Query) -> list[dict[str, Any]]:
        """Of records that are looked for: what is found, newest first."""
        source, where, values = _conditions(query)
        sql = (
            "SELECT signature, title, count(*) AS records, count(DISTINCT host) AS hosts, "
            "min(received_ns) AS first_ns, max(received_ns) AS last_ns, "
            "group_concat(DISTINCT kernel) AS kernels, min(title) AS least, max(title) AS most "
            f"FROM {source} WHERE {where} AND signature != '' "
            "GROUP BY signature ORDER BY last_ns DESC LIMIT ?"
        )
        return [
            {
                **dict(row),
                "titles": self._titles(row, source, where, values),
                "kernels": sorted(filter(None, (row["kernels"] or "").split(","))),
            }
            for row in list(self._rows(sql, [*values, _limit(query)]))
        ]

    def _titles(self, group: sqlite3.Row, source: str, where: str, values: list[Any]) -> list[str]:
        """Return all titles of a group; most have one."""
        if group["least"] == group["most"]:
            return [group["title"]] if group["title"] else []
        sql = f"SELECT DISTINCT title FROM {source} WHERE {where} AND signature = ? ORDER BY title"
        return [row["title"] for row in self._rows(sql, [*values, group["signature"]]) if row["title"]]

    def timelines(
        self, query: Query, signatures: Sequence[str], start_ns: int, width_ns: int
    ) -> dict[str, dict[int, int]]:
        """Return how many records these groups have in each ``width_ns`` from ``start_ns`` on:
        {signature: {number of the interval: records}}."""
        marks = ", ".join("?" * len(signatures))
        # Days are counted with copies.
        by_days = _is_plain(query) and width_ns >= tallies.DAY_NS
        if by_days and not (query.folded and self._copies(0)):
            sql = (
                f"SELECT signature, (day * {tallies.DAY_NS} + {tallies.DAY_NS // 2} - ?) / ? AS stretch, "
                f"sum(records) AS records FROM group_days WHERE signature IN ({marks}) "
                "GROUP BY signature, stretch"
            )
            rows = self._rows(sql, [start_ns, width_ns, *signatures])
        else:
            source, where, values = _conditions(query)
            sql = (
                "SELECT signature, (received_ns - ?) / ? AS stretch, count(*) AS records "
                f"FROM {source} WHERE {where} AND signature IN ({marks}) GROUP BY signature, stretch"
            )
            rows = self._rows(sql, [start_ns, width_ns, *values, *signatures])
        found: dict[str, dict[int, int]] = {}
        for row in rows:
            found.setdefault(row["signature"], {})[row["stretch"]] = row["records"]
        return found

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
            "WHERE (records.changed > cursors.changed OR turn = 1) "
            "AND type NOT IN ('hello', 'bye')) AS records FROM cursors"
        )
        return {row["sink"]: row["records"] for row in self._rows(sql, [])}

    def hosts(
        self,
        ages: boots.Ages,
        now_ns: int,
        state: str | None = None,
        words: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the objects that ``hosts --json`` prints, by name; with a ``limit`` those that want to
        be seen come first. ``words`` are found in the host's name, kernel or address. Those that
        are retired are left out unless they are asked for."""
        order = " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(boots.STATES))
        where, values = _named(words)
        sql = (
            f"SELECT *, {boots.SHOWN} AS shown FROM boots WHERE current AND {where} "
            f"AND {'shown = ?' if state else 'shown != ?'} "
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
        source = keys.either("id >= ?1 AND id < ?2", "ORDER BY id LIMIT 6")
        sql = f"SELECT {_SUMMARY} FROM {source} ORDER BY id LIMIT 6"
        wanted = prefix.lower()
        found = [_entry(row) for row in self._rows(sql, [wanted, wanted + "g"])] if wanted else []
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
        """Return a record, or None."""
        sql = f"SELECT {_SUMMARY} FROM records WHERE {keys.IN_BOTH} AND identity = ?"
        return next((_entry(row) for row in self._rows(sql, [identity])), None)

    def has_complete(self, identity: bytes) -> bool:
        """Tell whether a record is stored complete."""
        sql = f"SELECT 1 FROM records WHERE {keys.IN_BOTH} AND identity = ? AND complete"
        return next(self._rows(sql, [identity]), None) is not None

    def load(self, entry: Entry) -> Record:
        """Return the whole record, text included."""
        row = next(
            self._rows(
                "SELECT * FROM records WHERE number = ? AND identity = ?", [entry.number, entry.identity]
            ),
            None,
        )
        if row is None:
            raise NotFoundError(f"record {entry.summary['id']} is gone: a newer one of its host replaced it")
        return row_to_record(row)

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


def _is_plain(query: Query) -> bool:
    """Tell whether a query chooses by time and group alone."""
    return not (query.type or query.host or query.search or query.before)


def _order(source: str) -> str:
    # The index of words is in the order of numbers: it is read no further than the limit.
    return "words.rowid" if source.startswith("words") else "number"


def _of_group(query: Query, table: str = "groups") -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    if query.state is not None:
        parts.append(f"signature != '' AND {groups.SHOWN.format(table)} = ?")
        values.append(query.state)
    group = (query.group or "").lower()
    if len(group) == _SIGNATURE:
        parts.append("signature = ?")
        values.append(group)
    elif query.group is not None:
        # "g" sorts after every hexadecimal digit.
        parts.append("signature >= ? AND signature < ?")
        values += [group, group + "g"]
    return " AND ".join(parts) or "1", values


def _conditions(query: Query, pending: bool = False) -> tuple[str, str, list[Any]]:
    """Return the tables that a query reads, its condition, and the condition's values. With
    ``pending`` it is about few records, and those without a meaning fit all words."""
    source = "records"
    parts: list[str] = []
    values: list[Any] = []
    asked = search.parse(query.search) if query.search else search.Search()
    number = "number"
    if asked.found and pending:
        parts.append(
            "(signature IS NULL OR EXISTS (SELECT 1 FROM words WHERE words MATCH ? AND rowid = number))"
        )
        values.append(asked.found)
    elif asked.found:
        source, number = "words JOIN records ON records.number = words.rowid", "words.rowid"
        narrowed = search.host_is(query.host) if query.host else ""
        parts.append("words MATCH ?")
        values.append(f"{narrowed} AND {asked.found}" if narrowed else asked.found)
    if asked.absent:
        parts.append("number NOT IN (SELECT rowid FROM words WHERE words MATCH ?)")
        values.append(asked.absent)
    if query.type is not None:
        parts.append("type = ?")
        values.append(query.type)
    elif not query.everything:
        parts.append("type NOT IN ('hello', 'bye')")
    if query.host is not None and source == "records" and not pending:
        source = keys.either("host = ?1")
        values.insert(0, query.host)
    elif query.host is not None:
        parts.append("host = ?")
        values.append(query.host)
    if query.group is not None or query.state is not None:
        where, of_group = _of_group(query, "records")
        parts.append(where)
        values += of_group
    since_ns = max(query.since_ns or 0, asked.since_ns or 0)
    if since_ns:
        # The number finds it, the time decides.
        parts.append(f"{number} >= ? AND received_ns >= ?")
        values += [numbers.since(since_ns), since_ns]
    if query.before is not None:
        parts.append(f"{number} < ?")
        values.append(query.before)
    if query.folded:
        parts.append(crashes.FIRST)
    return source, " AND ".join(parts) or "1", values


def _named(words: Sequence[str]) -> tuple[str, list[Any]]:
    parts, values = ["1"], []
    for word in words:
        parts.append("(host || ' ' || kernel || ' ' || coalesce(source_ip, '')) LIKE ? ESCAPE '\\'")
        values.append("%" + re.sub(r"([\\%_])", r"\\\1", word) + "%")
    return " AND ".join(parts), values


def _crash(text: str | None) -> Any:
    """Return what is known of the crash; nothing if the disk has corrupted it."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _limit(query: Query) -> int:
    return -1 if query.limit is None else query.limit


def _entry(row: sqlite3.Row) -> Entry:
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
            "same_crash": json.loads(row["same_crash"]),
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
