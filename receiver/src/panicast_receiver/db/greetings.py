# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps hello and bye: what each boot of a host last said of itself. A new one changes the row of
the one before.

They can be listed like records, but they are not records: they have no text and belong to no crash,
no sink gets them, and no search finds words in them. Each boot of a host has its newest sealed one
and its newest unsealed one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ..records.record import Record, id_of
from ..wire.v1 import FLAG_SEALED, STATE_TYPES
from . import numbers, tallies
from .packing import to_signed

#: What a row takes beside its metadata.
ROW_BYTES = 1024
#: What is kept the longest, as an expression that an index is made of: see retention.py.
_WORTH = "(CASE WHEN sealed THEN 2 WHEN doubted THEN 0 ELSE 1 END)"
#: The columns have the names and meanings that they have in ``records``.
SCHEMA = f"""
CREATE TABLE greetings (
    boot_id BLOB NOT NULL,
    host TEXT NOT NULL,
    sealed INTEGER NOT NULL,
    identity BLOB NOT NULL,
    id TEXT NOT NULL,
    changed INTEGER NOT NULL,
    number INTEGER NOT NULL,
    type TEXT NOT NULL,
    header_host TEXT NOT NULL,
    reason TEXT NOT NULL,
    event INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    time_ns INTEGER,
    received_ns INTEGER NOT NULL,
    mac TEXT,
    source_mac TEXT,
    source_ip TEXT,
    source_iface TEXT,
    metadata BLOB,
    size INTEGER NOT NULL,
    doubted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (boot_id, host, sealed)
);
CREATE UNIQUE INDEX greetings_by_number ON greetings (number);
CREATE INDEX greetings_by_host ON greetings (host);
CREATE INDEX greetings_by_change ON greetings (changed);
CREATE INDEX greetings_by_id ON greetings (id);
CREATE INDEX greetings_by_mac ON greetings (mac, sealed, number) WHERE NOT doubted;
CREATE INDEX greetings_by_worth ON greetings ({_WORTH}, number);
"""
_COLUMNS = (
    *("boot_id", "host", "sealed", "identity", "id", "changed", "number", "type", "header_host", "reason"),
    *("event", "flags", "frames", "time_ns", "received_ns", "mac", "source_mac", "source_ip"),
    *("source_iface", "metadata", "size", "doubted"),
)
#: What a column of ``records`` that is not here has.
CONSTANTS = {
    **{"format": "v1", "restored": 0, "text_length": 0, "gaps": "[]", "contested": 0, "complete": 1},
    **{"signature": "", "turn": 0},
    **dict.fromkeys(("title", "kernel", "crash", "failure", "body")),
}
#: All of them as rows of ``records``, where that name stands in a query; with the text, which is empty.
_AS_SQL = (f"{'NULL' if value is None else repr(value)} AS {name}" for name, value in CONSTANTS.items())
AS_RECORDS = f"(SELECT {', '.join((*_COLUMNS, *_AS_SQL))} FROM greetings) AS records"
#: From schema 2, where they were records.
CARRY_ON = f"""
{SCHEMA}
INSERT OR REPLACE INTO greetings ({", ".join(_COLUMNS)})
    SELECT boot_id, host, flags & {FLAG_SEALED} != 0, identity_3, id_of(identity_3), changed, number, type,
    header_host, reason, event, flags, frames, time_ns, received_ns, mac, source_mac, source_ip,
    source_iface, metadata, coalesce(length(metadata), 0) + {ROW_BYTES}, 0
    FROM carried WHERE type IN ({", ".join(f"'{name}'" for name in sorted(STATE_TYPES))})
    AND boot_id IS NOT NULL AND event IS NOT NULL ORDER BY number;
"""
#: The name that the machine with an Ethernet address last gave, with what it is chosen by.
NAMED = (
    "SELECT host, flags, received_ns FROM greetings WHERE mac = ?1 AND NOT doubted "
    "ORDER BY sealed DESC, number DESC LIMIT 1"
)
_KEY = "boot_id = ? AND host = ? AND sealed = ?"
_INSERT = f"INSERT INTO greetings ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


def newest_event(db: sqlite3.Connection, record: Record, host: str) -> int | None:
    """Return the event of the one that a hello or bye would take the place of."""
    row = db.execute(f"SELECT event FROM greetings WHERE {_KEY}", _key(record, host)).fetchone()
    return None if row is None else int(row[0])


def keep(db: sqlite3.Connection, record: Record, host: str, number: int, changed: int, doubted: bool) -> None:
    """Store a hello or bye in the place of the one before."""
    size = ROW_BYTES + len(record.metadata or b"")
    values = (
        *_key(record, host),
        *(record.identity, record.id, changed, number, record.type, record.header_host, record.reason),
        *(record.event, record.flags, record.frames, to_signed(record.time_ns), record.received_ns),
        *(record.mac, *record.source[:3], record.metadata, size, doubted),
    )
    row = dict(zip(_COLUMNS, values))
    old = db.execute(f"SELECT * FROM greetings WHERE {_KEY}", _key(record, host)).fetchone()
    if old is None:
        db.execute(_INSERT, values)
    else:
        tallies.remove_from_type(db, {**dict(old), "complete": True})
        # SQLite writes an index again for each column that is set, whether it changes or not.
        new = {name: value for name, value in row.items() if old[name] != value}
        setting = ", ".join(f"{name} = ?" for name in new)
        db.execute(f"UPDATE greetings SET {setting} WHERE {_KEY}", (*new.values(), *_key(record, host)))
    tallies.add_to_type(db, {**row, "complete": True})


def doubt(db: sqlite3.Connection, boot_id: bytes, host: str) -> None:
    """Doubt what this boot said unsealed."""
    db.execute(f"UPDATE greetings SET doubted = 1 WHERE {_KEY}", (boot_id, host, 0))


def before(db: sqlite3.Connection, moment_ns: int, limit: int) -> list[bytes]:
    """Return the identities of those that were received before a time, at most ``limit`` (-1: all)."""
    sql = "SELECT identity FROM greetings WHERE number < ? ORDER BY number LIMIT ?"
    return [row[0] for row in db.execute(sql, (numbers.since(moment_ns), limit))]


def least(db: sqlite3.Connection, limit: int) -> list[bytes]:
    """Return the identities of so many that go first: doubted ones, then unsealed ones, of those the
    oldest."""
    sql = f"SELECT identity FROM greetings ORDER BY {_WORTH}, number LIMIT ?"
    return [row[0] for row in db.execute(sql, (limit,))]


def delete(db: sqlite3.Connection, identity: bytes) -> None:
    """Delete the one with this identity, if there is one, and remember that, so that nobody can bring
    it back by sending it again."""
    where, values = "id = ? AND identity = ?", (id_of(identity), identity)
    db.execute(
        f"INSERT OR IGNORE INTO forgotten SELECT identity, sealed FROM greetings WHERE {where}", values
    )
    _delete(db, where, values)


def forget(db: sqlite3.Connection, boot_id: bytes, host: str, sealed: bool) -> None:
    """Delete what a boot said that is forgotten itself."""
    _delete(db, _KEY, (boot_id, host, sealed))


def _delete(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> None:
    for row in db.execute(f"SELECT * FROM greetings WHERE {where}", values).fetchall():
        tallies.remove_from_type(db, {**dict(row), "complete": True})
    db.execute(f"DELETE FROM greetings WHERE {where}", values)


def _key(record: Record, host: str) -> tuple[Any, ...]:
    return record.boot_id, host, record.sealed
