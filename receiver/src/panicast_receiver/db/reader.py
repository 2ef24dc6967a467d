# SPDX-License-Identifier: GPL-2.0-or-later
"""The reading side of the database: what list, show, follow and export query."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import NotFoundError
from ..records.record import Record, Source, kept_by
from ..text import iso_time
from ..wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED, parse_metadata
from . import boots, changes, crashes, schema, turns
from .named import NamedFile
from .store import from_signed, parse_gaps, row_to_record

_SUMMARY = (
    "identity, id, changed, format, type, host, reason, boot_id, event, flags, frames, restored, time_ns, "
    "received_ns, text_length, complete, gaps, mac, source_ip, source_iface, metadata, title, signature, "
    f"crash, failure, contested, doubted, turn, {crashes.OTHERS} AS same_crash"
)


#: Where search looks. A text is compressed, and what matters of it is in its crash.
_SEARCHED = (
    "id || ' ' || host || ' ' || reason || ' ' || coalesce(CAST(metadata AS TEXT), '') || ' ' || "
    "coalesce(signature, '') || ' ' || "
    "coalesce((SELECT group_concat(atom, ' ') FROM json_tree(records.crash)), '')"
)
#: Of more words the rest is not looked for.
_MOST_WORDS = 8
#: SQLite's steps between two looks at the clock, a millisecond.
_STEPS = 20_000


class Place(NamedTuple):
    """A record's place in a list: when it was received, and its change."""

    received_ns: int
    changed: int


class Query(NamedTuple):
    """Selects records. None means no restriction. ``everything`` adds hello and bye."""

    type: str | None = None
    host: str | None = None
    since_ns: int | None = None
    limit: int | None = None
    everything: bool = False
    #: The signature of the crash, or how it begins.
    group: str | None = None
    #: Words of which each must be found in what is known of the record, its text aside.
    search: str | None = None
    #: Records that come after the one at this place in a list with the newest first.
    before: Place | None = None
    #: A crash once: without what was kept of it, where what it sent itself is there.
    folded: bool = False


class Entry(NamedTuple):
    """One record without its text: ``summary`` is the object that ``list --json`` prints."""

    identity: bytes
    changed: int
    summary: dict[str, Any]
    place: Place
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
        where, values = _conditions(query)
        sql = f"SELECT {_SUMMARY} FROM records WHERE {where} ORDER BY received_ns DESC, changed DESC"
        rows = self._rows(f"{sql} LIMIT ?", [*values, _limit(query)])
        return [_entry(row) for row in reversed(list(rows))]

    def changed_since(self, cursor: int, query: Query) -> list[Entry]:
        """Return the matching records stored or completed after ``cursor``, in that order;
        ``limit`` keeps the first."""
        where, values = _conditions(query)
        sql = (
            f"SELECT {_SUMMARY} FROM records WHERE changed > ? AND turn != {turns.WAITS} AND {where} "
            "ORDER BY changed LIMIT ?"
        )
        rows = self._rows(sql, [cursor, *values, _limit(query)])
        return [_entry(row) for row in rows]

    def groups(self, query: Query) -> list[dict[str, Any]]:
        """Return the objects that ``groups --json`` prints: the same crash of many hosts once,
        newest last."""
        where, values = _conditions(query)
        sql = (
            "SELECT signature, title, count(*) AS records, count(DISTINCT host) AS hosts, "
            "min(received_ns) AS first_ns, max(received_ns) AS last_ns, "
            "group_concat(DISTINCT kernel) AS kernels, min(title) AS least, max(title) AS most "
            f"FROM records WHERE {where} AND signature != '' GROUP BY signature ORDER BY last_ns DESC LIMIT ?"
        )
        rows = list(self._rows(sql, [*values, _limit(query)]))
        return [
            {
                "signature": row["signature"],
                "title": row["title"],
                "titles": self._titles(row, where, values),
                "records": row["records"],
                "hosts": row["hosts"],
                "first": iso_time(row["first_ns"]),
                "last": iso_time(row["last_ns"]),
                "kernels": sorted(filter(None, (row["kernels"] or "").split(","))),
            }
            for row in reversed(rows)
        ]

    def _titles(self, group: sqlite3.Row, where: str, values: list[Any]) -> list[str]:
        """Return all titles of a group; most have one."""
        if group["least"] == group["most"]:
            return [group["title"]] if group["title"] else []
        sql = f"SELECT DISTINCT title FROM records WHERE {where} AND signature = ? ORDER BY title"
        return [row["title"] for row in self._rows(sql, [*values, group["signature"]]) if row["title"]]

    def timelines(self, query: Query, start_ns: int, width_ns: int) -> dict[str, dict[int, int]]:
        """Return how many records each group has in each ``width_ns`` from ``start_ns`` on:
        {signature: {number of the interval: records}}."""
        where, values = _conditions(query)
        sql = (
            "SELECT signature, (received_ns - ?) / ? AS stretch, count(*) AS records FROM records "
            f"WHERE {where} AND signature != '' GROUP BY signature, stretch"
        )
        found: dict[str, dict[int, int]] = {}
        for row in self._rows(sql, [start_ns, width_ns, *values]):
            found.setdefault(row["signature"], {})[row["stretch"]] = row["records"]
        return found

    def totals(self) -> list[dict[str, Any]]:
        """Return for each type: {type, records, incomplete, last_ns}."""
        sql = (
            "SELECT type, count(*) AS records, sum(NOT complete) AS incomplete, max(received_ns) AS last_ns "
            "FROM records GROUP BY type"
        )
        return [dict(row) for row in self._rows(sql, [])]

    def group_count(self) -> int:
        """Return the number of groups."""
        sql = "SELECT count(DISTINCT signature) AS found FROM records WHERE signature != ''"
        return int(next(self._rows(sql, []))["found"])

    def backlogs(self) -> dict[str, int]:
        """Return how many records each sink has not received yet."""
        sql = (
            "SELECT sink, (SELECT count(*) FROM records "
            "WHERE (records.changed > cursors.changed OR turn = 1) "
            "AND type NOT IN ('hello', 'bye')) AS records FROM cursors"
        )
        return {row["sink"]: row["records"] for row in self._rows(sql, [])}

    def hosts(self, silent_s: float, now_ns: int) -> list[dict[str, Any]]:
        """Return the objects that ``hosts --json`` prints."""
        return boots.hosts(self._rows("SELECT * FROM boots", []), now_ns, silent_s)

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
        sql = f"SELECT {_SUMMARY} FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 6"
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
        sql = f"SELECT {_SUMMARY} FROM records WHERE identity = ?"
        return next((_entry(row) for row in self._rows(sql, [identity])), None)

    def has_complete(self, identity: bytes) -> bool:
        """Tell whether a record is stored complete."""
        sql = "SELECT 1 FROM records WHERE identity = ? AND complete"
        return next(self._rows(sql, [identity]), None) is not None

    def load(self, entry: Entry) -> Record:
        """Return the whole record, text included."""
        row = next(self._rows("SELECT * FROM records WHERE identity = ?", [entry.identity]), None)
        if row is None:
            raise NotFoundError(f"record {entry.summary['id']} is gone: a newer one of its host replaced it")
        return row_to_record(row)

    def _rows(self, sql: str, values: list[Any]) -> Iterator[sqlite3.Row]:
        try:
            yield from self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise schema.failure(error, self.path) from error


def _conditions(query: Query) -> tuple[str, list[Any]]:
    parts = ["1"]
    values: list[Any] = []
    if query.type is not None:
        parts.append("type = ?")
        values.append(query.type)
    elif not query.everything:
        parts.append("type NOT IN ('hello', 'bye')")
    if query.host is not None:
        parts.append("host = ?")
        values.append(query.host)
    if query.group is not None:
        parts.append("signature >= ? AND signature < ?")
        values += [query.group.lower(), query.group.lower() + "g"]
    if query.since_ns is not None:
        parts.append("received_ns >= ?")
        values.append(query.since_ns)
    if query.before is not None:
        parts.append("(received_ns, changed) < (?, ?)")
        values += query.before
    if query.folded:
        parts.append(crashes.FIRST)
    for word in (query.search or "").split()[:_MOST_WORDS]:
        parts.append(f"{_SEARCHED} LIKE ? ESCAPE '\\'")
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
            "crash": _crash(row["crash"]),
            "meaning": "pending" if row["signature"] is None else "failed" if row["failure"] else "found",
            "meaning_failure": row["failure"],
            "source": source._asdict(),
            "meta": meta,
        },
        Place(row["received_ns"], row["changed"]),
        row["turn"],
    )
