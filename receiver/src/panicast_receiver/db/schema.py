# SPDX-License-Identifier: GPL-2.0-or-later
"""The database file: its tables, its version, and opening it for writing or reading."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Callable
from urllib.parse import quote

from ..errors import ReceiverError
from ..log import logger
from ..records.record import id_of
from ..wire.v1 import identity_of
from . import (
    alerts,
    bodies,
    boots,
    changes,
    copies,
    crashes,
    damage,
    greetings,
    groups,
    keys,
    labels,
    maintenance,
    numbers,
    places,
    retention,
    rows,
    tallies,
    turns,
    words,
)

FILE_NAME = "panicast.db"
#: What is said of a question that had no more time.
TOO_LONG = "this takes too long; ask for less: a shorter time, one host, fewer words or records"
VERSION = 3
#: Marks the file as ours for file(1): "PCST".
APPLICATION_ID = 0x50435354
#: What is left of the log when all of it is in the file, at most.
LOG_BYTES = 4 << 20
#: What it takes to undo one record of a batch is written to no file.
_TEMP_STORE = "PRAGMA temp_store = MEMORY"
#: What SQLite adds to the index of its log at a time.
_INDEX_BYTES = 32 << 10
#: Of the pages that are written again and again, all; SQLite's own is 2 MiB.
_CACHE_KIB = 16 << 10
#: What an upgrade takes for a while, beside the file and in its sizes: what is new, and the log of all that.
_UPGRADE = 4
#: SQLite's steps between two signs of life while an older file is brought up to date: a row takes some ten.
BEAT_STEPS = 1000
_INCREMENTAL = 2
#: A change that has this number comes in the year 148,000.
_FAR = 1 << 62

#: What version 3 has that version 2 had not, in both.
_NEW_IN_3 = f"""
CREATE INDEX records_to_explain ON records (tries, turn, changed) WHERE signature IS NULL;
CREATE TABLE aside (
    sink TEXT NOT NULL,
    identity BLOB NOT NULL,
    reason TEXT NOT NULL,
    since_ns INTEGER NOT NULL,
    PRIMARY KEY (sink, identity)
) WITHOUT ROWID;
{keys.SCHEMA}{crashes.SCHEMA}{turns.SCHEMA}{changes.SCHEMA}{words.SCHEMA}{groups.SCHEMA}{alerts.SCHEMA}
{places.SCHEMA}{labels.SCHEMA}{maintenance.SCHEMA}
CREATE INDEX records_by_signature ON records (signature, number, received_ns, host, kernel, title);
CREATE INDEX records_by_type ON records (type, number);
"""

#: New columns only ever come last, here and in MIGRATIONS (salvage.py).
#: One row a record. hello and bye are none (greetings.py), and the texts are apart (bodies.py).
#: identity: boot id, event and a digest of the header, or a digest alone. contested, doubted: see belief.py.
#: size: what the row takes (retention.py). turn: whether it waits to be told of, place: when it is to be
#: (turns.py). number: its place by time, the table's key (numbers.py); indexed: whether its words are known
#: (words.py). changed: rises with every insert and update, so a reader that remembers the highest it saw
#: misses nothing (changes.py).
#: gaps: JSON [[offset, length], …].
#: title, signature, kernel, crash: what the text means (crash is its JSON); signature is NULL until somebody
#: has looked. tries: how often that was begun; failure: why there is no meaning (meanings.py).
#: metadata: seq 0's payload, NULL while missing. restored: frames
#: that came by parity. forgotten: records that were deleted. cursors: what each sink has, whether it is fed
#: now, what it complains of; aside: what it refused. boots: one row a boot id and host (boots.py);
#: interfaces: JSON {name: MAC}. records_by_signature holds all that groups are made of.
_RECORDS = """
CREATE TABLE records (
    identity BLOB NOT NULL,
    id TEXT NOT NULL,
    changed INTEGER NOT NULL UNIQUE,
    format TEXT NOT NULL,
    type TEXT NOT NULL,
    host TEXT NOT NULL,
    header_host TEXT NOT NULL,
    reason TEXT NOT NULL,
    boot_id BLOB,
    event INTEGER,
    flags INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    time_ns INTEGER,
    received_ns INTEGER NOT NULL,
    text_length INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    gaps TEXT NOT NULL,
    mac TEXT,
    source_mac TEXT,
    source_ip TEXT,
    source_iface TEXT,
    metadata BLOB,
    title TEXT,
    signature TEXT,
    kernel TEXT,
    crash TEXT,
    restored INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    contested INTEGER NOT NULL DEFAULT 0,
    doubted INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL DEFAULT 0,
    number INTEGER PRIMARY KEY NOT NULL,
    indexed INTEGER NOT NULL DEFAULT 0
);
"""
SCHEMA = f"""{_RECORDS}CREATE TABLE cursors (
    sink TEXT PRIMARY KEY NOT NULL,
    changed INTEGER NOT NULL,
    fed INTEGER NOT NULL DEFAULT 0,
    complaint TEXT NOT NULL DEFAULT ''
);
{_NEW_IN_3}
{bodies.SCHEMA}
{greetings.SCHEMA}
{boots.SCHEMA}
{retention.SCHEMA}
{tallies.SCHEMA}
{changes.BEGIN}
"""

#: What schema 2 had, in its order (salvage.py); and what of that goes as it is into the records of schema 3.
COLUMNS_2 = (
    *("identity", "id", "changed", "format", "type", "host", "header_host", "reason", "boot_id", "event"),
    *("flags", "frames", "time_ns", "received_ns", "text_length", "complete", "gaps", "mac", "source_mac"),
    *("source_ip", "source_iface", "metadata", "body", "title", "signature", "kernel", "crash"),
)
_CARRIED = ", ".join(name for name in COLUMNS_2 if name not in ("identity", "id", "body"))

#: How a file of an older version becomes one of the next: by the version it has.
MIGRATIONS = {
    1: """
ALTER TABLE records ADD COLUMN title TEXT;
ALTER TABLE records ADD COLUMN signature TEXT;
ALTER TABLE records ADD COLUMN kernel TEXT;
ALTER TABLE records ADD COLUMN crash TEXT;
CREATE INDEX records_by_signature ON records (signature, received_ns, type, host, kernel, title);
CREATE INDEX records_by_host ON records (host, received_ns);
CREATE TABLE boots (
    boot_id BLOB PRIMARY KEY NOT NULL,
    host TEXT NOT NULL,
    state TEXT NOT NULL,
    event INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    panicked_ns INTEGER,
    kernel TEXT NOT NULL,
    module TEXT NOT NULL,
    interfaces TEXT NOT NULL,
    source_ip TEXT
);
CREATE INDEX boots_by_host ON boots (host, last_ns);
CREATE TABLE cursors (sink TEXT PRIMARY KEY NOT NULL, changed INTEGER NOT NULL);
CREATE TABLE forgotten (identity BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID;
INSERT INTO boots
    SELECT boot_id, host, type, event, received_ns, received_ns, NULL, '', '', '{}', source_ip
    FROM records WHERE type IN ('hello', 'bye');
UPDATE boots SET panicked_ns =
    (SELECT min(received_ns) FROM records WHERE records.boot_id = boots.boot_id AND type = 'panic');
""",
    2: f"""
ALTER TABLE cursors ADD COLUMN fed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cursors ADD COLUMN complaint TEXT NOT NULL DEFAULT '';
{numbers.CARRY_ON}
ALTER TABLE records RENAME TO records_2;
{_RECORDS}
CREATE TEMP VIEW carried AS SELECT records_2.*, number, CASE format WHEN 'v1'
    THEN v1_identity(type, flags, boot_id, event, frames, text_length, time_ns, header_host)
    ELSE identity END AS identity_3
    FROM numbered CROSS JOIN records_2 ON records_2.rowid = numbered.row;
INSERT INTO records (identity, id, {_CARRIED}, size, number)
    SELECT identity_3, id_of(identity_3), {_CARRIED},
    length(body) + coalesce(length(metadata), 0) + {rows.ROW_BYTES}, number
    FROM carried WHERE type NOT IN ('hello', 'bye') ORDER BY number;
{bodies.CARRY_ON}
{greetings.CARRY_ON}
DROP VIEW carried;
DROP TABLE numbered;
DROP TABLE records_2;
{_NEW_IN_3}
{boots.CARRY_ON}
{retention.CARRY_ON}
{tallies.CARRY_ON}
{changes.CARRY_ON}
""",
}


class NoRoomError(ReceiverError):
    """An older file cannot be upgraded: the disk has no room for that."""


def explain(error: sqlite3.Error, path: Path) -> str:
    """Return SQLite's error as a sentence that names the file and says what to do."""
    text = str(error)
    if "not a database" in text or "malformed" in text:
        return f"{path} is damaged ({text}); {damage.WHAT_TO_DO}"
    if is_full(error, path):
        return f"no room to write {path} ({text}); free space on its file system"
    if "interrupted" in text:
        return TOO_LONG
    if "locked" in text:
        return f"{path} is locked by another program ({text}); `lslocks` names it"
    return f"{path}: {text}"


def is_full(error: sqlite3.Error, path: Path) -> bool:
    """Tell whether the disk has no room. Of the index of its log SQLite says no more than that it cannot be
    written."""
    text = str(error)
    with suppress(OSError):
        if "disk I/O error" in text:
            return shutil.disk_usage(path.parent).free < _INDEX_BYTES
    return "full" in text


def failure(error: sqlite3.Error, path: Path) -> ReceiverError:
    """Return the same as an exception; a DamagedError if the file itself is at fault."""
    if damage.is_damage(error, path):
        return damage.DamagedError(f"{path} is damaged ({error}); {damage.WHAT_TO_DO}")
    return ReceiverError(explain(error, path))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what SQLite finds meanwhile as a ReceiverError."""
    try:
        yield
    except sqlite3.Error as error:
        raise failure(error, path) from error


def open_writer(path: Path, lasting: bool = True) -> sqlite3.Connection:
    """Open the existing database for writing. Raises ReceiverError with a sentence.

    What is not ``lasting`` is written without waiting for the disk. Only a power cut may lose it,
    and only until somebody else commits.
    """
    try:
        connection = _connect(path, "rw")
        try:
            _check_version(connection, path, allow_new=False)
            _set_up(connection, path)
            if not lasting:
                connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        if not path.exists():
            raise ReceiverError(_unreadable(path)) from error
        raise failure(error, path) from error
    return connection


@contextmanager
def lasting(connection: sqlite3.Connection) -> Iterator[None]:
    """Let what is written meanwhile by a writer that is not ``lasting`` be on the disk when it is
    committed."""
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")


def make(path: Path, beat: Callable[[], None] = lambda: None) -> sqlite3.Connection:
    """Open the database; create it or upgrade it if needed. Only who holds the folder's lock may do
    this. Raises ReceiverError with a sentence.

    ``beat`` is called now and then during an upgrade, which may take minutes.
    """
    try:
        connection = _connect(path, "rwc")
        try:
            version = _check_version(connection, path, allow_new=True)
            if not version:
                # Pages that are free can be given back, a few at a time; it must be said before all else.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _set_up(connection, path)
            if 0 < version < VERSION:
                _upgrade(connection, path, version, beat)
            else:
                _bring_up_to_date(connection, version, beat)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise failure(error, path) from error
    except OSError as error:
        raise ReceiverError(f"cannot upgrade {path}: {error.strerror}") from error
    return connection


def _upgrade(connection: sqlite3.Connection, path: Path, version: int, beat: Callable[[], None]) -> None:
    """Bring an older file up to date, and keep a copy of it if there is room. Raises NoRoomError; then the
    file is as it was, and alone."""
    size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    taken = _UPGRADE * size
    no_room = NoRoomError(
        f"no room to upgrade {path}: that takes {(taken >> 20) + 1} MiB, and {free >> 20} are free on its "
        "file system"
    )
    # Not only to write all of it: its log takes room until it is in the file, which grows.
    if free < taken:
        raise no_room
    copy = copies.keep_older(connection, path, version, beat) if free >= taken + size else None
    try:
        _bring_up_to_date(connection, version, beat)
    except sqlite3.OperationalError as error:
        if not is_full(error, path):
            raise
        if copy:
            copy.unlink()
        raise no_room from error
    if copy:
        logger.info("%s was brought up to date; as it was it is kept in %s", path, copy.name)
    else:
        logger.warning(
            "%s was upgraded without a copy, so there is no way back to an older panicast-receiver: "
            "there was no room for one",
            path,
        )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=5, check_same_thread=False, factory=damage.Connection
    )


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise ReceiverError(
            f"the file system of {path} cannot hold a write-ahead log; choose a local "
            "one with --state-dir DIR"
        )
    # FULL: a commit is on the disk before it is announced.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(_TEMP_STORE)


def _bring_up_to_date(connection: sqlite3.Connection, version: int, beat: Callable[[], None]) -> None:
    """Create the tables, or upgrade them step by step from the file's version; all or nothing."""
    if version == VERSION:
        return
    connection.create_function("v1_identity", 8, v1_identity, deterministic=True)
    connection.create_function("id_of", 1, id_of, deterministic=True)
    steps = [MIGRATIONS[step] for step in range(version, VERSION)] if version else [SCHEMA]
    connection.set_progress_handler(beat, BEAT_STEPS)
    # To rewrite a file takes as much room once more: memory has less, and so may have all other folders.
    folder = connection.execute("PRAGMA database_list").fetchone()[2].rpartition("/")[0].replace("'", "''")
    connection.executescript(f"PRAGMA temp_store = FILE; PRAGMA temp_store_directory = '{folder}';")
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {''.join(steps)} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {VERSION}; COMMIT;"
        )
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
            _let_it_shrink(connection)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.set_progress_handler(None, 0)
        connection.executescript(f"PRAGMA temp_store_directory = ''; {_TEMP_STORE};")


def _let_it_shrink(connection: sqlite3.Connection) -> None:
    """Rewrite a file of an old version, so that it can give free pages back to the disk.

    If that fails, for want of room or because somebody reads, the next migration tries again.
    """
    try:
        # What the upgrade wrote takes no room twice.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        logger.warning("the database will not shrink when records are deleted: %s", error)


def v1_identity(
    kind: str,
    flags: int,
    boot_id: bytes,
    event: int,
    frames: int,
    text_length: int,
    time_ns: int,
    host: str,
) -> bytes:
    """Return the identity of a v1 record in schema 3, from columns of schema 2.

    Schema 2 identified records by boot id and event, and did not keep the key id.
    """
    return identity_of(kind, flags, boot_id, event, frames, text_length, time_ns % (1 << 64), host)


def open_reader(path: Path, older: bool = False) -> tuple[sqlite3.Connection, bool]:
    """Open the database read-only, while the service runs or not. With ``older``, also one of an
    older version. Raises ReceiverError.

    The flag beside the connection tells that the database is frozen: the connection will not see
    changes made from now on.

    A reader without write permission on the folder uses the service's -wal and -shm files. A
    cleanly stopped service leaves none, and such a reader cannot make them. Then the main file
    holds everything and nobody changes it, which is what SQLite calls immutable.
    """
    if not os.access(path, os.R_OK):
        raise ReceiverError(_unreadable(path))
    uri = f"file:{quote(str(path.resolve()))}"
    try:
        try:
            return _checked_reader(f"{uri}?mode=ro", path, older), False
        except sqlite3.OperationalError:
            if has_log(path):
                raise
            return _checked_reader(f"{uri}?mode=ro&immutable=1", path, older), True
    except sqlite3.Error as error:
        raise failure(error, path) from error


def _checked_reader(uri: str, path: Path, older: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5, factory=damage.Connection)
    try:
        _check_version(connection, path, allow_new=False, allow_older=older)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(
    connection: sqlite3.Connection, path: Path, allow_new: bool, allow_older: bool = False
) -> int:
    """Return the file's version, 0 for a new one. Raises ReceiverError if it is not one of ours."""
    version, application = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
    )
    if version > VERSION:
        raise ReceiverError(
            f"{path} was written by a newer panicast-receiver (schema {version}, this one supports "
            f"{VERSION}); upgrade this one, or choose another --state-dir"
        )
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if (application != APPLICATION_ID or version == 0) and (tables or not allow_new):
        raise ReceiverError(f"{path} is not a panicast database; choose another --state-dir")
    if version < VERSION and not allow_new and not allow_older:
        raise ReceiverError(
            f"{path} was written by an older panicast-receiver (schema {version}, this one reads {VERSION}); "
            "start the service once, which upgrades it"
        )
    return int(version)


def strange(db: sqlite3.Connection) -> str:
    """Return in words what the file has, or lacks, that no receiver writes; "" if nothing.

    Whoever added a trigger or a view may want it to do something.
    """
    try:
        found = db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"
        ).fetchone()
        if found:
            return f"it has a {found[0]} {found[1]!r}"
        if db.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            return ""
        with closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(SCHEMA)
            ours, theirs = _columns(fresh), _columns(db)
        if ours != theirs:
            return f"its tables {sorted({name for name, _ in ours ^ theirs})} are others"
        return "" if 0 <= changes.newest(db) < _FAR else "its changes are counted wrong"
    except (sqlite3.Error, TypeError, ValueError):
        return "its tables do not say what ours do"


def _columns(db: sqlite3.Connection) -> set[tuple[str, frozenset[str]]]:
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        (name, frozenset(row[1] for row in db.execute("SELECT * FROM pragma_table_info(?)", (name,))))
        for name in names
        if not name.startswith("sqlite_")
    }


def has_log(path: Path) -> bool:
    """Tell whether a write-ahead log holds changes that the main file lacks."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except OSError:
        return False


def _unreadable(path: Path) -> str:
    exists, owner = _look(path)
    if exists:
        return (
            f"you may not read {path}; ask for membership of its group"
            f" (usermod -aG panicast {owner}, then log in again), or name another with --state-dir DIR"
        )
    return (
        f"no records here: {path} does not exist; start `panicast-receiver serve`, "
        "or name the right folder with --state-dir DIR"
    )


def _look(path: Path) -> tuple[bool, str]:
    """Tell whether the file, or a folder that hides it, exists but is closed to us; also return our
    user name."""
    closed = path.exists() if os.access(path.parent, os.X_OK) else path.parent.exists()
    try:
        return closed, pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return closed, str(os.geteuid())
