# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides what is kept and what is deleted first: everything stored has a limit, and nothing forged
expires what is sealed.

The order is the same whatever the reason: doubted, then unsealed, then sealed records; within these
tests, then oopses and panics; within these incomplete, then complete ones; then the oldest first. Hello
and bye have a share of their own, so that they take none of the records'.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..wire.v1 import FLAG_SEALED
from . import alerts, boots, greetings, keys, numbers, queueing, rows, tallies

#: The order, as an expression that an index is made of; sealed and complete are numbers or conditions in SQL.
ORDER = (
    "(CASE WHEN {sealed} THEN 16 WHEN doubted THEN 0 ELSE 8 END + "
    "CASE WHEN type = 'test' THEN 2 ELSE 4 END + {complete})"
)
WORTH = ORDER.format(sealed=f"flags & {FLAG_SEALED}", complete="complete")
#: The oldest is the one that changed the longest ago: by a clock that was ahead for an hour, all that comes
#: after it would be older than what came then, and deleted at once.
#: size: what a row takes. forgotten: records that were deleted; of those that nobody can forge again (sealed,
#: or imported) the most are remembered (``kept``).
SCHEMA = f"""
CREATE INDEX records_by_worth ON records ({WORTH}, changed);
CREATE TABLE forgotten (identity BLOB PRIMARY KEY NOT NULL, kept INTEGER NOT NULL);
CREATE INDEX forgotten_by_worth ON forgotten (kept);
"""
#: From schema 2.
CARRY_ON = f"""
ALTER TABLE forgotten RENAME TO forgotten_2;
{SCHEMA}
INSERT INTO forgotten SELECT identity, 0 FROM forgotten_2;
DROP TABLE forgotten_2;
"""
#: So long age and number spare a record that a sink has not received; size does not.
UNDELIVERED_NS = 7 * 86400 * 1_000_000_000
_ALL = (1 << 63) - 1
#: Rows that are deleted in one transaction, and seconds that it takes, so that nobody waits long; seconds
#: when many records come.
BATCH, STEP_S, LONG_STEP_S = 256, 0.01, 0.2
#: The same while the disk is full: what deletes rows is written, too.
FEW_WHEN_FULL = 8
#: By default the database has a tenth of its file system, half of what is free, and at most and least this.
_MOST, _LEAST = 16 << 30, 16 << 20
#: Shares of it that boots, hello and bye, and forgotten records have, and what one of them takes.
_BOOTS_SHARE, _BOOT_BYTES = 8, 512
_GREETINGS_SHARE, _GREETING_BYTES = 8, 2048
_FORGOTTEN_SHARE, _FORGOTTEN_BYTES = 16, 128
_FEW = 256
#: What the disk has made something else of names no record: to try to delete it must not end the service.
_NAMED = "typeof(identity) = 'blob'"
T = TypeVar("T")


class Delivered(NamedTuple):
    """Which changes need not wait for a sink. ``changed``: all sinks that are fed have everything
    up to this one, or it is too old to wait for them. ``old``: up to this one a record is too old
    to wait for its turn."""

    changed: int
    old: int


class Expired(NamedTuple):
    """How many rows were deleted, and how many records of those some sink has not received."""

    rows: int
    undelivered: int


class Retention(NamedTuple):
    """The limits: days, bytes of the database, records of each host. 0 means no limit, for bytes
    what the disk allows."""

    days: float = 0
    size: int = 0
    per_host: int = 0

    def before_ns(self, now_ns: int) -> int | None:
        """Return the time before which received records need not be kept."""
        return now_ns - int(self.days * 86400e9) if self.days else None

    def bytes(self, path: Path) -> int:
        """Return how many bytes the database at ``path`` may have."""
        if self.size:
            return self.size
        disk = shutil.disk_usage(path.parent)
        own = path.stat().st_size if path.exists() else 0
        return max(_LEAST, min(disk.total // 10, (disk.free + own) // 2, _MOST))


def expire(
    db: sqlite3.Connection,
    retention: Retention,
    path: Path,
    now_ns: int,
    most: int = BATCH,
    step_s: float = STEP_S,
) -> Expired:
    """Delete some of what need not be kept, within a transaction of about ``step_s`` seconds, at
    most ``most`` of each kind.

    Returns no rows when nothing is left to delete.
    """
    db.execute("INSERT OR REPLACE INTO counters VALUES ('expired', ?)", (now_ns,))
    size, before = retention.bytes(path), retention.before_ns(now_ns)
    most_boots = max(_FEW, size // _BOOTS_SHARE // _BOOT_BYTES)
    end = time.monotonic() + step_s
    forgotten = alerts.expire(db, size)
    for row in _until(end, boots.surplus(db, most_boots, before, most)):
        boots.forget(db, [row])
        forgotten += 1
    most_greetings = max(_FEW, size // _GREETINGS_SHARE // _GREETING_BYTES)
    beyond = min(most, boots.beyond(db, "greetings", most_greetings))
    for identity in _until(end, greetings.least(db, beyond)):
        greetings.delete(db, identity)
        forgotten += 1
    records = surplus(db, before, retention.per_host or None, most, delivered(db, now_ns)) or oversize(
        db, size, most
    )
    deleted = undelivered_records = 0
    for identity in _until(end, records):
        undelivered_records += undelivered(db, [identity])
        delete(db, identity)
        deleted += 1
    if deleted:
        db.execute(
            "DELETE FROM aside WHERE NOT EXISTS "
            f"(SELECT 1 FROM records WHERE {keys.IN_BOTH} AND records.identity = aside.identity)"
        )
    most_forgotten = max(_FEW, size // _FORGOTTEN_SHARE // _FORGOTTEN_BYTES)
    done = db.execute(
        "DELETE FROM forgotten WHERE rowid IN (SELECT rowid FROM forgotten ORDER BY kept, rowid LIMIT ?)",
        (min(most, boots.beyond(db, "forgotten", most_forgotten)),),
    )
    return Expired(forgotten + deleted + done.rowcount, undelivered_records)


def _until(end: float, wanted: Iterable[T]) -> Iterator[T]:
    """Yield the first, and others until the time is over."""
    for one in wanted:
        yield one
        if time.monotonic() > end:
            return


def expired_ns(db: sqlite3.Connection) -> int | None:
    """Return the time given at the last call of expire()."""
    row = db.execute("SELECT value FROM counters WHERE name = 'expired'").fetchone()
    return None if row is None else int(row[0])


def delivered(db: sqlite3.Connection, now_ns: int) -> Delivered:
    """Return which changes need not wait for a sink."""
    (slowest,) = db.execute("SELECT min(changed) FROM cursors WHERE fed").fetchone()
    old = (now_ns - UNDELIVERED_NS) // 1000
    return Delivered(_ALL if slowest is None else max(slowest, old), old)


def undelivered(db: sqlite3.Connection, identities: Sequence[bytes]) -> int:
    """Return how many of these records some sink that is fed has not received."""
    query = (
        f"SELECT 1 FROM records WHERE {keys.IN_BOTH} AND identity = ? "
        f"AND (changed > (SELECT min(changed) FROM cursors WHERE fed) OR turn = {queueing.WAITS}) "
        "AND EXISTS (SELECT 1 FROM cursors WHERE fed)"
    )
    return sum(db.execute(query, (identity,)).fetchone() is not None for identity in identities)


def surplus(
    db: sqlite3.Connection,
    before_ns: int | None,
    per_host: int | None,
    most: int,
    delivered: Delivered | None = None,
) -> list[bytes]:
    """Return the identities of records received before ``before_ns``, or beyond ``per_host`` of a
    host.

    Sealed and unsealed records of a host are counted apart; hello and bye are not counted, because
    a boot has only one of each. Returns at most ``most`` (-1: all). With ``delivered`` it leaves
    out records that a sink still has to receive.
    """
    changed, old = delivered or (_ALL, _ALL)
    is_delivered = f"({_NAMED} AND changed <= ? AND (turn != {queueing.WAITS} OR changed <= ?))"
    found: dict[bytes, None] = {}
    if before_ns is not None:
        query = f"SELECT identity FROM records WHERE number < ? AND {is_delivered} ORDER BY number LIMIT ?"
        old_ones = db.execute(query, (numbers.since(before_ns), changed, old, most))
        found.update((row["identity"], None) for row in old_ones)
        if most < 0 or len(found) < most:
            left = most if most < 0 else most - len(found)
            found.update((identity, None) for identity in greetings.before(db, before_ns, left))
    if per_host is None or 0 <= most <= len(found):
        return list(found)
    # More than MANY: an index has these, of hosts of which there may be a million.
    many = "SELECT host FROM host_tallies WHERE records > ?"
    if per_host >= tallies.MANY:
        many += f" AND records > {tallies.MANY}"
    of_host = (
        f"SELECT identity FROM (SELECT identity, changed, turn, {WORTH} AS worth, row_number() "
        "OVER "
        f"(PARTITION BY flags & {FLAG_SEALED} ORDER BY {WORTH} DESC, changed DESC) AS place FROM records "
        f"WHERE {keys.IN_BOTH} AND host = ?) WHERE place > ? "
        f"AND {is_delivered} "
        "ORDER BY worth, changed LIMIT ?"
    )
    for (host,) in db.execute(many, (per_host,)).fetchall():
        if 0 <= most <= len(found):
            break
        left = most if most < 0 else most - len(found)
        values = (host, per_host, changed, old, left)
        found.update((row["identity"], None) for row in db.execute(of_host, values))
    return list(found)


def oversize(db: sqlite3.Connection, most_bytes: int, limit: int) -> list[bytes]:
    """Return the identities of records to delete so that the database shrinks to ``most_bytes``.

    Returns at most ``limit``. Records keep half of those bytes, whatever else takes room.
    """
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    too_much = (pages - free) * size - most_bytes
    if too_much <= 0:
        return []
    (records,) = db.execute(
        "SELECT coalesce(sum(size), 0) FROM type_tallies WHERE type NOT IN ('hello', 'bye')"
    ).fetchone()
    too_much = min(too_much, records - most_bytes // 2)
    found = []
    least = f"SELECT identity, size FROM records WHERE {_NAMED} ORDER BY {WORTH}, changed LIMIT ?"
    for row in db.execute(least, (limit,)):
        if too_much <= 0:
            break
        too_much -= row["size"]
        found.append(row["identity"])
    return found


def delete(db: sqlite3.Connection, identity: bytes) -> None:
    """Delete a record, hello or bye, and remember that, so that nobody can bring it back by sending it
    again."""
    greetings.delete(db, identity)
    db.execute(
        f"INSERT OR IGNORE INTO forgotten SELECT identity, flags & {FLAG_SEALED} OR format = 'pstore' "
        f"FROM records WHERE {keys.IN_BOTH} AND identity = ?",
        (identity,),
    )
    rows.delete(db, f"{keys.IN_BOTH} AND identity = ?", (identity,))
