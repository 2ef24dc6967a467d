# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of each boot of each host: updated by hello, bye and panic, shown as the fleet's
state.

A host is known by its name, one load of its module by the boot id. A name that two machines share
gives two rows, while both say hello. Unsealed records are ignored if the host, or this boot, has
sealed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..records.record import Record
from ..text import iso_time, matches
from ..wire.v1 import FLAG_SEALED, HOST_BYTES, STATE_TYPES
from . import belief, greetings, labels

#: current: whether a boot is what its host is shown as: the newest, or one of another machine with that
#: name, heard after the newest began. The others are old boots, of which there are many.
#: why: the reason of a bye.
#: retired_ns: when somebody said that the host is gone. It is, until it is heard again.
#: boots_shown has all that a state is made of, so that who counts hosts by state reads no row; ``current``,
#: too, because SQLite looks at it again. It and boots_by_worth have the order in which boots are forgotten:
#: a boot that is heard changes one place of one of the two, among those of the hosts, not of all old boots.
_ORDER = "sealed, panicked_ns IS NOT NULL, last_ns > first_ns, last_ns"
SCHEMA = f"""
CREATE TABLE boots (
    boot_id BLOB NOT NULL,
    host TEXT NOT NULL,
    sealed INTEGER NOT NULL,
    state TEXT NOT NULL,
    event INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    panicked_ns INTEGER,
    kernel TEXT NOT NULL,
    module TEXT NOT NULL,
    interfaces TEXT NOT NULL,
    source_ip TEXT,
    current INTEGER NOT NULL DEFAULT 1,
    retired_ns INTEGER,
    why TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (boot_id, host)
);
CREATE INDEX boots_now ON boots (host) WHERE current;
CREATE INDEX boots_shown ON boots ({_ORDER}, panicked_ns, state, retired_ns, current) WHERE current;
CREATE INDEX boots_by_host ON boots (host, sealed);
CREATE INDEX boots_sealed ON boots (boot_id, host) WHERE sealed;
CREATE INDEX boots_by_worth ON boots ({_ORDER}) WHERE NOT current;
"""
#: From schema 2, where a boot had one row.
CARRY_ON = f"""
DROP INDEX boots_by_host;
ALTER TABLE boots RENAME TO boots_2;
{SCHEMA}
INSERT INTO boots
    SELECT boot_id, host, boot_id IN (SELECT boot_id FROM records WHERE flags & {FLAG_SEALED}
        UNION ALL SELECT boot_id FROM greetings WHERE sealed),
    state, event, first_ns, last_ns, panicked_ns, kernel, module, interfaces, source_ip, 1, NULL, ''
    FROM boots_2;
DROP TABLE boots_2;
DELETE FROM boots WHERE NOT sealed AND host IN (SELECT host FROM boots WHERE sealed);
UPDATE boots SET current = (
    SELECT boots.last_ns > newest.first_ns OR boots.boot_id = newest.boot_id FROM boots AS newest
    WHERE newest.host = boots.host ORDER BY newest.last_ns DESC, newest.rowid DESC LIMIT 1);
"""
#: The most urgent first.
STATES = ("panicked", "silent", "armed", "goodbye", "unknown", "retired")
#: A boot's state in SQL; its values are from ``Ages.values``.
SHOWN = (
    "CASE WHEN last_ns < ? OR retired_ns >= last_ns THEN 'retired' "
    "WHEN panicked_ns IS NOT NULL THEN 'panicked' WHEN state = 'bye' THEN 'goodbye' "
    "WHEN state != 'hello' THEN 'unknown' WHEN last_ns < ? THEN 'silent' ELSE 'armed' END"
)
#: What lists of hosts can be ordered by, in SQL; SHOWN is ``shown`` there.
ORDERS = {
    "attention": "CASE shown {} END, host, last_ns".format(
        " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(STATES))
    ),
    "last": "last_ns DESC, host",
    "name": "host, last_ns",
}
_NS = 1_000_000_000
_DAY_NS = 86_400 * _NS
#: Above any character of a name.
_AFTER = "\U0010ffff"
#: An unsealed event with a number lower by at most this is late or replayed. If the difference is
#: larger, somebody made up one of the numbers, and the higher one must not mute the host.
LATE = 64
#: Limits of a row: interfaces, and characters of a text.
MOST_INTERFACES, _MOST_TEXT = 16, 64


class Ages(NamedTuple):
    """After how long a host that is not heard is silent, and after how long it is retired. 0: never."""

    silent_s: float
    retire_days: float = 0.0

    def values(self, now_ns: int) -> list[int]:
        """Return the values of ``SHOWN``: the times before which a host was heard last."""
        retired_ns = now_ns - int(self.retire_days * _DAY_NS) if self.retire_days else 0
        return [retired_ns, now_ns - int(self.silent_s * _NS)]


def note(db: sqlite3.Connection, record: Record, host: str) -> None:
    """Take a stored v1 record that is not doubted into account, within the store's transaction."""
    if record.boot_id is None or not (record.sealed or record.type in {*STATE_TYPES, "panic"}):
        return
    row = _row(db, record, host)
    if record.kept and record.type not in STATE_TYPES:
        # The host lives in another boot by now, and is not heard of by what it says of this one.
        if row is not None and row["panicked_ns"] is None and record.type == "panic":
            values = (record.received_ns, record.boot_id, host)
            db.execute("UPDATE boots SET panicked_ns = ? WHERE boot_id = ? AND host = ?", values)
        return
    if record.sealed and row is None:
        belief.doubt_earlier(db, record.boot_id, host)
        db.execute("DELETE FROM boots WHERE host = ? AND sealed = 0", (host,))
    meta, event = record.meta, record.event or 0
    late = row is not None and is_late(record, row["event"])
    if late and record.type in STATE_TYPES:
        # A repetition, or an old greeting played again: the host is not heard of by that.
        return
    interfaces = json.loads(row["interfaces"]) if row else {}
    if meta.get("iface") and len(interfaces) < MOST_INTERFACES:
        interfaces[_cut(meta["iface"])] = _cut(meta.get("mac", "").lower())
    state = record.type if record.type in STATE_TYPES else row["state"] if row else "unknown"
    why = row["why"] if row else ""
    if record.type in STATE_TYPES:
        why = _cut(record.reason) if state == "bye" else ""
    panicked = record.received_ns if record.type == "panic" else None
    if row and row["panicked_ns"] is not None:
        panicked = row["panicked_ns"]
    noted = {
        "sealed": record.sealed,
        "state": state,
        "event": row["event"] if row and late else event,
        "first_ns": row["first_ns"] if row else record.received_ns,
        # What came later is heard later, even if the clock was ahead before.
        "last_ns": max(record.received_ns, row["last_ns"]) if row and late else record.received_ns,
        "panicked_ns": panicked,
        "kernel": _cut(meta.get("release", "")) or (row["kernel"] if row else ""),
        "module": _cut(meta.get("module", "")) or (row["module"] if row else ""),
        "interfaces": json.dumps(interfaces),
        "source_ip": record.source.ip or (row["source_ip"] if row else None),
        "current": True,
        "why": why,
    }
    if row is None:
        columns, marks = ", ".join(noted), ", ".join("?" * len(noted))
        sql = f"INSERT INTO boots (boot_id, host, {columns}) VALUES (?, ?, {marks})"
        db.execute(sql, (record.boot_id, host, *noted.values()))
        labels.give(db, host)
    else:
        # SQLite writes an index again for each column that is set, whether it changes or not.
        new = {name: value for name, value in noted.items() if row[name] != value}
        setting = ", ".join(f"{name} = ?" for name in new)
        if new:
            db.execute(f"UPDATE boots SET {setting} WHERE rowid = ?", (*new.values(), row["rowid"]))
    # A boot that was current stays so, and no other one was heard before it began.
    if row is None or not row["current"]:
        _settle(db, host)


def _settle(db: sqlite3.Connection, host: str) -> None:
    """Find out again which boots of a host are current, after one was heard or forgotten."""
    # By an index that SQLite might not choose: of boots that are not current there may be very many.
    row = db.execute(
        "SELECT boot_id, first_ns FROM boots INDEXED BY boots_now WHERE host = ? AND current "
        "ORDER BY last_ns DESC, rowid DESC LIMIT 1",
        (host,),
    ).fetchone()
    if row is None:
        db.execute(
            "UPDATE boots SET current = 1 WHERE rowid = (SELECT rowid FROM boots WHERE host = ? "
            "ORDER BY last_ns DESC, rowid DESC LIMIT 1)",
            (host,),
        )
        return
    db.execute(
        "UPDATE boots INDEXED BY boots_now SET current = 0 "
        "WHERE host = ? AND current AND last_ns <= ? AND boot_id != ?",
        (host, row["first_ns"], row["boot_id"]),
    )


def is_late(record: Record, newest: int) -> bool:
    """Tell whether a record is not newer than the event ``newest`` of its boot."""
    behind = newest - (record.event or 0)
    return behind >= 0 and (record.sealed or behind < LATE)


def newest_event(db: sqlite3.Connection, record: Record, host: str) -> int | None:
    """Return the newest believed event of this boot."""
    row = _row(db, record, host)
    return None if row is None else int(row["event"])


def full_name(db: sqlite3.Connection, record: Record) -> str | None:
    """Return the whole name of a host, of which a record without metadata has the first 32 bytes."""
    name = record.header_host
    if record.boot_id is None or record.metadata is not None or len(name.encode()) < HOST_BYTES:
        return None
    for which in ("sealed", "NOT sealed"):
        row = db.execute(
            f"SELECT host FROM boots WHERE {which} AND boot_id = ? AND host >= ? AND host < ? LIMIT 1",
            (record.boot_id, name, name + _AFTER),
        ).fetchone()
        if row:
            return str(row["host"])
    return None


def surplus(db: sqlite3.Connection, most: int, before_ns: int | None, limit: int) -> list[sqlite3.Row]:
    """Return rows to forget so that at most so many stay: first unsealed ones, of those the ones
    that never panicked, then hosts heard only once, the longest ago first; and unsealed ones that
    were not heard of since."""
    query = "SELECT boot_id, host, sealed FROM boots WHERE {}"
    # Each half has an index of its own.
    halves = ("NOT current", "current")
    if before_ns is not None:
        # The indexes begin with these, so each of the eight is a range of one.
        old = " UNION ALL ".join(
            f"{query.format(half)} AND sealed = 0 AND (panicked_ns IS NOT NULL) = {panicked} "
            f"AND (last_ns > first_ns) = {heard_again} AND last_ns < :before"
            for half in halves
            for panicked in (0, 1)
            for heard_again in (0, 1)
        )
        rows = db.execute(f"{old} LIMIT :limit", {"before": before_ns, "limit": limit}).fetchall()
        if rows:
            return list(rows)
    too_many = min(limit, beyond(db, "boots", most))
    parts = (
        f"SELECT * FROM (SELECT * FROM boots WHERE {half} ORDER BY {_ORDER} LIMIT :limit)" for half in halves
    )
    found = f"SELECT boot_id, host, sealed FROM ({' UNION ALL '.join(parts)}) ORDER BY {_ORDER} LIMIT :limit"
    return list(db.execute(found, {"limit": too_many}))


def beyond(db: sqlite3.Connection, table: str, most: int) -> int:
    """Return how many rows a table has beyond ``most``."""
    ends = f"SELECT (SELECT min(rowid) FROM {table}), (SELECT max(rowid) FROM {table})"
    first, last = db.execute(ends).fetchone()
    # To count takes as long as there are rows; so many there cannot be.
    if first is None or last - first < most:
        return 0
    return max(0, int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) - most)


def forget(db: sqlite3.Connection, gone: Iterable[sqlite3.Row]) -> None:
    """Delete these rows, and the hello or bye that belongs to each."""
    for row in gone:
        db.execute("DELETE FROM boots WHERE boot_id = ? AND host = ?", (row["boot_id"], row["host"]))
        greetings.forget(db, row["boot_id"], row["host"], row["sealed"])
        _settle(db, row["host"])
        labels.leave(db, row["host"])


def with_names(db: sqlite3.Connection, patterns: Sequence[str]) -> list[str]:
    """Return the names of hosts that match one of the patterns."""
    names = (str(row[0]) for row in db.execute("SELECT DISTINCT host FROM boots WHERE current"))
    return sorted(name for name in names if matches(name, patterns))


def retire(db: sqlite3.Connection, host: str, at_ns: int | None) -> None:
    """Note that a host is gone, if it is not heard after that time; None: that it is not."""
    db.execute("UPDATE boots SET retired_ns = ? WHERE host = ?", (at_ns, host))


def show(row: sqlite3.Row) -> dict[str, Any]:
    """Return the object that ``hosts --json`` prints of a boot, a row with its state as ``shown``, its
    ``labels`` as JSON and the number of its window as ``maintenance``."""
    return {
        "host": row["host"],
        "state": row["shown"],
        **known(row),
        "maintenance": row["maintenance"],
    }


def known(row: sqlite3.Row) -> dict[str, Any]:
    """Return what is known of a boot, whoever is told of it; its ``labels`` are JSON."""
    return {
        "why": row["why"],
        "last_seen": iso_time(row["last_ns"]),
        "first_seen": iso_time(row["first_ns"]),
        "panicked": iso_time(row["panicked_ns"]),
        "kernel": row["kernel"],
        "module": row["module"],
        "interfaces": json.loads(row["interfaces"]),
        "ip": row["source_ip"],
        "boot_id": row["boot_id"].hex(),
        "sealed": bool(row["sealed"]),
        "labels": json.loads(row["labels"]),
    }


def _row(db: sqlite3.Connection, record: Record, host: str) -> sqlite3.Row | None:
    """Return the boot's row. For a sealed record, a row made from unsealed ones does not count."""
    row: sqlite3.Row | None = db.execute(
        "SELECT rowid, * FROM boots WHERE boot_id = ? AND host = ? AND sealed >= ?",
        (record.boot_id, host, record.sealed),
    ).fetchone()
    return row


def _cut(text: str) -> str:
    return text[:_MOST_TEXT]
