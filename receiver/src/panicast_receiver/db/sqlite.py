# SPDX-License-Identifier: GPL-2.0-or-later
"""SQLite, the database of a state folder, as reader.py asks it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ..records.record import Record, Source, kept_by
from ..text import iso_time
from ..wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED, parse_metadata
from . import bodies, greetings, schema, words
from .engine import FOUND, Entry
from .named import NamedFile
from .packing import from_signed, mended, parse_gaps, row_to_record

#: What is read of a record for its entry, beside what is found out.
_COLUMNS = (
    *("identity", "id", "changed", "format", "type", "host", "reason", "boot_id", "event", "flags"),
    *("frames", "restored", "time_ns", "received_ns", "text_length", "complete", "gaps", "mac"),
    *("source_ip", "source_iface", "metadata", "title", "signature", "crash", "failure", "contested"),
    *("doubted", "turn", "number"),
)
_NAMES = (*_COLUMNS, *FOUND)
#: SQLite's steps between two looks at the clock, a millisecond.
_STEPS = 20_000


class SQLite:
    """See Engine. It only reads, while the service runs or not. Raises ReceiverError."""

    summary = ", ".join((*_COLUMNS, *(f"{sql} AS {name}" for name, sql in FOUND.items())))
    finder = words.FINDER
    greets = True
    sealed = f"(flags & {FLAG_SEALED} != 0)"
    whole: tuple[str, ...] = tuple(
        f"SELECT {what} WHERE number = ? AND identity = ?"
        for what in (f"{bodies.WHOLE} FROM records", f"* FROM {greetings.AS_RECORDS}")
    )

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / schema.FILE_NAME
        # First: what is put in its place meanwhile is noticed then, if once too often.
        self._named = NamedFile(self._path)
        self.db, self._frozen = schema.open_reader(self._path)
        self.db.row_factory = sqlite3.Row

    def close(self) -> None:
        """See Engine."""
        self.db.close()

    def each(self, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        """See Engine."""
        return self.db.execute(sql, values)

    def explained(self) -> AbstractContextManager[None]:
        """See Engine."""
        return schema.explained(self._path)

    def until(self, deadline: float) -> None:
        """See Engine."""
        self.db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)

    def version(self) -> int:
        """See Engine."""
        with self.explained():
            return int(self.db.execute("PRAGMA data_version").fetchone()[0])

    def is_stale(self) -> bool:
        """Tell whether the file was replaced, or opened while nobody wrote to it and a service has begun
        to."""
        return self._named.changed() or (self._frozen and schema.has_log(self._path))

    def size(self) -> int:
        """Return the bytes of the database on the disk, its write-ahead log included."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    @staticmethod
    def record(row: sqlite3.Row) -> Record:
        """See Engine."""
        return row_to_record(mended(dict(zip(row.keys(), row))))

    @staticmethod
    def entry(row: sqlite3.Row) -> Entry:
        """See Engine."""
        # A Row looks for each name among all.
        found = dict(zip(_NAMES, row))
        try:
            return _entry(found)
        except (AttributeError, OverflowError, TypeError, ValueError):
            return _entry(mended(found))


def _entry(found: dict[str, Any]) -> Entry:
    meta = parse_metadata(found["metadata"] or b"")
    gaps = parse_gaps(found["gaps"], found["text_length"])
    meaning = "pending" if found["signature"] is None else "failed" if found["failure"] else "found"
    source = Source(found["mac"], found["source_ip"], found["source_iface"])
    return Entry(
        found["identity"],
        found["changed"],
        {
            "id": found["id"],
            "identity": found["identity"].hex(),
            "type": found["type"],
            "format": found["format"],
            "host": found["host"],
            "labels": json.loads(found["labels"]),
            "maintenance": found["maintenance"],
            "boot_id": found["boot_id"].hex() if found["boot_id"] is not None else None,
            "event": found["event"],
            "reason": found["reason"],
            "time": iso_time(from_signed(found["time_ns"])),
            "received": iso_time(found["received_ns"]),
            "complete": bool(found["complete"]),
            "gaps": [{"offset": offset, "bytes": length} for offset, length in gaps],
            "metadata_missing": found["metadata"] is None,
            "bytes": found["text_length"],
            "frames": found["frames"],
            "restored": found["restored"],
            "sealed": bool(found["flags"] & FLAG_SEALED),
            "contested": bool(found["contested"]),
            "doubted": bool(found["doubted"]),
            "older_text": bool(found["flags"] & FLAG_OLDER_TEXT),
            "kept": kept_by(found["event"], meta),
            "same_crash": json.loads(found["same_crash"]) if found["same_crash"] != "[]" else [],
            "release": meta.get("release", ""),
            "title": found["title"] or found["reason"],
            "signature": found["signature"] or "",
            "group_state": found["group_state"] if found["signature"] else "",
            "regression": bool(found["regression"]),
            "crash": _crash(found["crash"]),
            "meaning": meaning,
            "meaning_failure": found["failure"],
            "source": {"mac": source.mac, "ip": source.ip, "iface": source.iface},
            "meta": meta,
        },
        found["received_ns"],
        found["number"],
        found["turn"],
    )


def _crash(text: str | None) -> Any:
    """Return what is known of the crash; nothing if the disk has corrupted it."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
