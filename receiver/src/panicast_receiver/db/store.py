# SPDX-License-Identifier: GPL-2.0-or-later
"""The writing side of the database: one transaction for each batch; records are merged with what is
stored."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple, TextIO, TypeVar

import zstandard

from ..errors import FullError, ReceiverError
from ..log import logger
from ..records.extents import MOST_PIECES, Gap, merged
from ..records.record import Record
from ..text import matches
from ..wire.v1 import STATE_TYPES
from . import (
    belief,
    bodies,
    boots,
    changes,
    damage,
    greetings,
    groups,
    keys,
    migration,
    numbers,
    queueing,
    retention,
    rows,
    schema,
    tallies,
)
from .folder import LOCK, open_lock
from .named import NamedFile
from .packing import row_to_record, to_signed
from .retention import Retention
from .writing import transaction

#: Kernel logs shrink to a third or less in 0.1 ms for 64 KiB; level 3 takes a third longer for 2 to 4 % less.
_COMPRESSION_LEVEL = 1
_COLUMNS = (
    "identity",
    "id",
    "changed",
    "format",
    "type",
    "host",
    "header_host",
    "reason",
    "boot_id",
    "event",
    "flags",
    "frames",
    "restored",
    "time_ns",
    "received_ns",
    "text_length",
    "complete",
    "gaps",
    "mac",
    "source_mac",
    "source_ip",
    "source_iface",
    "metadata",
    "contested",
    "doubted",
    "size",
    "turn",
    "place",
    "number",
)
_INSERT = f"INSERT OR REPLACE INTO records ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_KNOWN = f"SELECT {bodies.WHOLE} FROM records WHERE {keys.IN_BOTH} AND identity = ?"
_NEWEST = "ORDER BY flags & 1 DESC, received_ns DESC LIMIT 1"
_WITH_MAC = keys.either("mac = ?1 AND format = 'v1' AND NOT doubted", _NEWEST)
_HOST_OF = (
    f"SELECT host FROM (SELECT * FROM ({greetings.NAMED}) "
    f"UNION ALL SELECT host, flags, received_ns FROM {_WITH_MAC}) {_NEWEST}"
)
#: Pages that are given back at a time: a hundredth of a second.
_SHRUNK_PAGES = 1024
T = TypeVar("T")


class Stored(NamedTuple):
    """What became of a record: ``new``, ``completed``, ``grown``, ``known``, ``refused`` or ``not
    sealed``."""

    record: Record
    outcome: str
    host: str
    contested: bool = False
    doubted: bool = False


class Store:
    """Writes to a state folder's database. The service holds the folder's lock; a command that
    works beside it is not ``exclusive``.

    Raises ReceiverError if the folder cannot be used.
    """

    def __init__(
        self, state_dir: Path, exclusive: bool = True, beat: Callable[[], None] = lambda: None
    ) -> None:
        self.path = state_dir / schema.FILE_NAME
        self._exclusive = exclusive
        self._lock, self._named_lock = self._take_folder()
        try:
            self._open(beat)
        except BaseException:
            self._lock.close()
            raise
        self._changed = 0
        self._pace = queueing.Pace()
        #: How many records were deleted that a sink had not received.
        self.undelivered = 0
        #: Who is told of at once; the others wait for their turn.
        self.at_once: Callable[[Record], bool] = lambda record: True
        #: Patterns of host names of which nothing unsealed is stored; another thread may change them.
        self.sealed_hosts: Sequence[str] = ()
        #: Whether the file was given up, and there is no new one yet.
        self._given_up = False
        # With a checksum: a text that the disk has changed is known as such.
        self._compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL, write_checksum=True)

    def write(self, records: Sequence[Record]) -> list[Stored]:
        """Store a batch in one transaction; when this returns, it is on the disk.

        Raises sqlite3.OperationalError when the disk is full or fails (nothing of the batch is kept, try
        again), other sqlite3.DatabaseError when the file is damaged or gone. A record that SQLite cannot
        hold, or that cannot be read from the spill file, is ``refused`` alone.
        """
        return self._in_transaction([partial(self._write_guarded, record) for record in records])

    def surplus(self, before_ns: int | None, per_host: int | None, most: int) -> list[bytes]:
        """See retention.surplus()."""
        return retention.surplus(self._db, before_ns, per_host, most)

    def delete(self, identities: Sequence[bytes]) -> None:
        """Delete these records and remember that, so that nobody can bring one back by sending it
        again. Raises like ``write``."""
        self._in_transaction([partial(retention.delete, self._db, identity) for identity in identities])

    def bring(self, decided: groups.Decided) -> int:
        """See groups.bring(). Raises like ``write``."""
        return self._in_transaction([partial(groups.bring, self._db, decided)])[0]

    def let_go(self, most: int) -> tuple[int, bool]:
        """Let up to ``most`` waiting records go, see queueing.py. Return how many went, and whether
        others still wait. Raises like ``write``."""
        if not queueing.any_wait(self._db):
            return 0, False
        return self._in_transaction([partial(self._pace.let_go, self._db, most, self._change)])[0], True

    def expire(
        self,
        kept: Retention,
        now_ns: int,
        most: int = retention.BATCH,
        step_s: float = retention.STEP_S,
    ) -> int:
        """Delete some of what need not be kept; return the number of rows. Raises like ``write``."""
        (expired,) = self._in_transaction(
            [partial(retention.expire, self._db, kept, self.path, now_ns, most, step_s)]
        )
        self.undelivered += expired.undelivered
        return expired.rows

    def make_room(self, kept: Retention, now_ns: int) -> int:
        """Do the same on a full disk, in the space that the log already has. Raises like ``write``."""
        self._db.execute("PRAGMA wal_checkpoint(RESTART)")
        return self.expire(kept, now_ns, retention.FEW_WHEN_FULL)

    def expired_ns(self) -> int | None:
        """Return the time that ``expire`` was last given in this folder."""
        return retention.expired_ns(self._db)

    def begin_anew(self, error: Exception) -> None:
        """Set the damaged file aside, or leave it where somebody has moved it, and continue with a
        new one. Raises ReceiverError and OSError if that fails: then try again."""
        if not self._given_up:
            self._given_up = True
            try:
                self._give_up(error)
            except BaseException:
                self._given_up = False
                raise
        if self._named_lock.changed():
            self._lock.close()
            self._lock, self._named_lock = self._take_folder()
        self._open()
        self._given_up = False

    def is_gone(self) -> bool:
        """Tell whether the open file no longer has its name."""
        return self._named.changed()

    def is_usable(self) -> bool:
        """Tell whether others may open the file now: not until the previous one's log is out of its
        way."""
        return not self._given_up and not self.is_gone()

    def is_sound(self, beat: Callable[[], None]) -> bool:
        """Tell whether nothing is wrong with the whole file; takes as long as reading it."""
        self._db.set_progress_handler(beat, migration.BEAT_STEPS)
        try:
            return damage.sound(self._db)
        finally:
            self._db.set_progress_handler(None, 0)

    def shrink(self) -> bool:
        """Return some of the free pages to the disk, if there are many; tell whether there are
        more."""
        pages, free = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")
        )
        if self._db.execute("PRAGMA auto_vacuum").fetchone()[0] and free > max(_SHRUNK_PAGES, pages // 4):
            self._db.executescript(f"PRAGMA incremental_vacuum({_SHRUNK_PAGES})")
            return True
        # Up to LOG_BYTES are left of the log: on a full disk what deletes records is written there.
        large = schema.log_is_long(self.path)
        self._db.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if large else 'RESTART'})")
        return False

    def _take_folder(self) -> tuple[TextIO, NamedFile]:
        """Lock the folder; return the open lock file, and its name. Raises ReceiverError."""
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock = open_lock(folder)
        except OSError as error:
            kind = FullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else ReceiverError
            raise kind(
                f"cannot keep records in {folder}: {error.strerror}; "
                "choose another folder with --state-dir DIR"
            ) from error
        try:
            if self._exclusive:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise ReceiverError(
                f"another panicast-receiver keeps its records in {folder}; stop it, or choose "
                "another folder with --state-dir DIR"
            ) from error
        return lock, NamedFile(folder / LOCK)

    def _open(self, beat: Callable[[], None] = lambda: None) -> None:
        """Open the file, or a new one if it is damaged."""
        try:
            self._db = migration.make(self.path, beat)
        except damage.DamagedError as error:
            if not self._exclusive:
                raise
            self._set_aside(error)
            self._db = migration.make(self.path, beat)
        except migration.NoRoomError as error:
            if not self._exclusive:
                raise
            self._db = self._begin_beside(error, beat)
        self._db.row_factory = sqlite3.Row
        self._named = NamedFile(self.path)
        self._beside = [
            NamedFile(self.path.with_name(self.path.name + suffix)) for suffix in ("-wal", "-shm")
        ]

    def _give_up(self, error: Exception) -> None:
        if self.is_gone():
            self._leave()
        else:
            self._db.close()
            self._set_aside(error)

    def _leave(self) -> None:
        """Finish with a file that no longer has its name: write all that is pending, and delete its
        log, because a new file would take that for its own."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        for place in self._beside:
            place.clear()
        logger.error(
            "%s was moved, deleted or replaced while the service used it: it goes on with the file that is "
            "there now, or a new one; `panicast-receiver recover FILE` adds what the old one holds",
            self.path,
        )

    def _set_aside(self, error: Exception) -> None:
        try:
            target = damage.set_aside(self.path)
        except OSError as problem:
            raise ReceiverError(
                f"{self.path} is damaged ({error}) and cannot be set aside: {problem.strerror}"
            ) from problem
        logger.error(
            "%s is damaged (%s): it was set aside as %s, and a new one was started; "
            "`panicast-receiver recover` saves what can be saved",
            *(self.path, error.__cause__ or error, target.name),
        )

    def _begin_beside(self, error: ReceiverError, beat: Callable[[], None]) -> sqlite3.Connection:
        """Set an older file aside that cannot be upgraded, and return a new one: a service that does not
        start hears nothing. Raises ReceiverError if there is no room for that either; then all is as before.
        """
        older: Path | None = None
        try:
            older = damage.set_aside(self.path, damage.OLDER)
            db = migration.make(self.path, beat)
        except (OSError, ReceiverError) as problem:
            if older is not None:
                damage.put_back(older, self.path)
            raise error from problem
        logger.error(
            "%s; until then its records are in %s, which was set aside, and new ones in a new database: with "
            "room, `panicast-receiver recover` brings the two together",
            *(error, older.name),
        )
        return db

    def close(self) -> None:
        """Fold the log into the main file and let go of the folder."""
        self._db.close()
        self._lock.close()

    def _in_transaction(self, steps: Sequence[Callable[[], T]]) -> list[T]:
        """Do all of the steps or none; the disk has them when this returns."""
        with transaction(self._db):
            # Others may write too.
            self._changed = changes.newest(self._db)
            results = [step() for step in steps]
            changes.keep(self._db, self._changed)
        # What went into a file that nobody finds is not kept.
        if self.is_gone():
            raise damage.GoneError("it was moved, deleted or replaced")
        return results

    def _write_guarded(self, record: Record) -> Stored:
        self._db.execute("SAVEPOINT one_record")
        try:
            stored = self._write_one(record)
            self._db.execute("RELEASE one_record")
            return stored
        except (
            *(OSError, ValueError, OverflowError, zstandard.ZstdError),
            *(sqlite3.InterfaceError, sqlite3.DataError, sqlite3.IntegrityError),
        ):
            # OSError: what was spilled of it cannot be read.
            self._db.execute("ROLLBACK TO one_record")
            return Stored(record, "refused", record.host)

    def _write_one(self, record: Record) -> Stored:
        if self._db.execute("SELECT 1 FROM forgotten WHERE identity = ?", (record.identity,)).fetchone():
            return Stored(record, "known", record.host)
        # Names that metadata or a MAC tell are known here alone.
        if self.sealed_hosts and not record.sealed and matches(self._name(record), self.sealed_hosts):
            return Stored(record, "not sealed", record.host)
        if record.type in STATE_TYPES:
            return self._write_state(record)
        row = self._db.execute(_KNOWN, (record.identity,)).fetchone()
        if row is None:
            return self._put(record, "new")
        if row["complete"]:
            return Stored(record, "known", row["host"])
        old = row_to_record(row)
        merged = _merge(old, record)
        # Nobody writes and tells a record again by sending the same frame of it again.
        if _brings_nothing(old, merged) or len(merged.runs) > MOST_PIECES:
            return Stored(record, "known", row["host"])
        return self._put(merged, "completed" if merged.complete else "grown", row)

    def _write_state(self, record: Record) -> Stored:
        """Store a hello or bye. Each boot of a host keeps its newest sealed one and its newest
        unsealed one."""
        host = self._name(record)
        believed = boots.newest_event(self._db, record, host)
        newest = greetings.newest_event(self._db, record, host)
        if any(event is not None and boots.is_late(record, event) for event in (believed, newest)):
            return Stored(record, "known", host)
        doubted = belief.doubted(self._db, record, host)
        if not doubted:
            boots.note(self._db, record, host)
        number = numbers.free(self._db, record.received_ns)
        greetings.keep(self._db, record, host, number, self._change(), doubted)
        outcome = "new" if newest is None or record.type == "bye" else "grown"
        return Stored(record, outcome, host, doubted=doubted)

    def _put(self, record: Record, outcome: str, old: sqlite3.Row | None = None) -> Stored:
        host = self._name(record)
        doubted = belief.doubted(self._db, record, host)
        if not doubted:
            boots.note(self._db, record, host)
        contested = belief.contest(self._db, record, doubted, self._change)
        body = self._compressor.compress(record.received_text)
        turn = queueing.AT_ONCE if self.at_once(record) else queueing.WAITS
        if old is not None:
            rows.leave(self._db, old)
        row = dict(
            zip(
                _COLUMNS,
                (
                    record.identity,
                    record.id,
                    self._change(),
                    record.format,
                    record.type,
                    host,
                    record.header_host,
                    record.reason,
                    record.boot_id,
                    record.event,
                    record.flags,
                    record.frames,
                    record.restored,
                    to_signed(record.time_ns),
                    record.received_ns,
                    record.text_length,
                    record.complete,
                    json.dumps(_pairs(record.gaps)),
                    record.mac,
                    *record.source[:3],
                    record.metadata,
                    contested and not doubted,
                    doubted,
                    rows.taken(body, record.metadata),
                    turn,
                    queueing.place(self._db, *record.source[:2]) if turn == queueing.WAITS else 0,
                    numbers.free(self._db, record.received_ns) if old is None else old["number"],
                ),
            )
        )
        self._db.execute(_INSERT, tuple(row.values()))
        self._db.execute(bodies.PUT, (row["number"], body))
        tallies.add(self._db, {**row, "signature": None})
        if old is not None:
            tallies.settle(self._db, old["signature"])
        return Stored(record, outcome, host, contested, doubted)

    def _change(self) -> int:
        self._changed = changes.following(self._changed)
        return self._changed

    def _name(self, record: Record) -> str:
        """Return the host's name, as well as it is known."""
        known = boots.full_name(self._db, record) or record.host or self._host_of(record.mac)
        return known or record.mac or record.source.ip or ""

    def _host_of(self, mac: str | None) -> str | None:
        """Return the name that the machine with this Ethernet address last gave in a v1 record,
        preferably a sealed one; None if it gave none."""
        row = self._db.execute(_HOST_OF, (mac,)).fetchone()
        return row["host"] if row else None


def _pairs(gaps: Sequence[Gap]) -> list[list[int]]:
    return [[gap.offset, gap.length] for gap in gaps]


def _brings_nothing(old: Record, merged: Record) -> bool:
    return merged.gaps == old.gaps and (merged.metadata is None) == (old.metadata is None)


def _merge(old: Record, new: Record) -> Record:
    """Return what two incomplete sightings know together; the first one's time and source stay."""
    metadata = old.metadata if old.metadata is not None else new.metadata
    # Which of the frames that were restored are the same is not known.
    restored = max(old.restored, new.restored)
    return replace(old, metadata=metadata, runs=merged(old.runs, new.runs), restored=restored)
