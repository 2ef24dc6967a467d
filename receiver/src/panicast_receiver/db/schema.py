# SPDX-License-Identifier: GPL-2.0-or-later
"""The database file: its tables, its version, and opening it for writing or reading.

What makes it, and upgrades an older one, is in migration.py.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from ..errors import FullError, ReceiverError
from . import (
    alerts,
    bodies,
    boots,
    changes,
    crashes,
    damage,
    greetings,
    groups,
    keys,
    labels,
    maintenance,
    places,
    queueing,
    retention,
    tallies,
    words,
)

FILE_NAME = "panicast.db"
#: What is said of a question that had no more time.
TOO_LONG = "this takes too long; ask for less: a shorter time, one host, fewer words or records"
VERSION = 3
#: Marks the file as ours for file(1): "PCST".
APPLICATION_ID = 0x50435354
#: What is left of the log when all of it is in the file, at most. What is longer is written to the file by
#: whoever has nothing better to do (``fold``).
LOG_BYTES = 4 << 20
#: Pages of a log that is written to the file by a commit, because nobody else did so: all wait for that.
_LOG_PAGES = 4000
#: What it takes to undo one record of a batch is written to no file.
TEMP_STORE = "PRAGMA temp_store = MEMORY"
#: What SQLite adds to the index of its log at a time.
_INDEX_BYTES = 32 << 10
#: Of the pages that are written again and again, all; SQLite's own is 2 MiB.
_CACHE_KIB = 16 << 10
#: A change that has this number comes in the year 148,000.
_FAR = 1 << 62

#: What version 3 has that version 2 had not, in both.
NEW_IN_3 = f"""
CREATE INDEX records_to_explain ON records (tries, turn, changed) WHERE signature IS NULL;
CREATE TABLE aside (
    sink TEXT NOT NULL,
    identity BLOB NOT NULL,
    reason TEXT NOT NULL,
    since_ns INTEGER NOT NULL,
    PRIMARY KEY (sink, identity)
) WITHOUT ROWID;
{keys.SCHEMA}{crashes.SCHEMA}{queueing.SCHEMA}{changes.SCHEMA}{words.SCHEMA}{groups.SCHEMA}{alerts.SCHEMA}
{places.SCHEMA}{labels.SCHEMA}{maintenance.SCHEMA}
CREATE INDEX records_by_signature ON records (signature, number, received_ns, host, kernel, title);
CREATE INDEX records_by_type ON records (type, number);
"""

#: New columns only ever come last, here and in MIGRATIONS of migration.py (salvage.py).
#: One row a record. hello and bye are none (greetings.py), and the texts are apart (bodies.py).
#: identity: boot id, event and a digest of the header, or a digest alone. contested, doubted: see belief.py.
#: size: what the row takes (retention.py). turn: whether it waits to be told of, place: when it is to be
#: (queueing.py). number: its place by time, the table's key (numbers.py); indexed: whether its words are
#: known (words.py). changed: rises with every insert and update, so a reader that remembers the highest it
#: saw misses nothing (changes.py).
#: gaps: JSON [[offset, length], …].
#: title, signature, kernel, crash: what the text means (crash is its JSON); signature is NULL until somebody
#: has looked. tries: how often that was begun; failure: why there is no meaning (meanings.py).
#: metadata: seq 0's payload, NULL while missing. restored: frames
#: that came by parity. forgotten: records that were deleted. cursors: what each sink has, whether it is fed
#: now, what it complains of; aside: what it refused. boots: one row a boot id and host (boots.py);
#: interfaces: JSON {name: MAC}. records_by_signature holds all that groups are made of.
RECORDS = """
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
SCHEMA = f"""{RECORDS}CREATE TABLE cursors (
    sink TEXT PRIMARY KEY NOT NULL,
    changed INTEGER NOT NULL,
    fed INTEGER NOT NULL DEFAULT 0,
    complaint TEXT NOT NULL DEFAULT ''
);
{NEW_IN_3}
{bodies.SCHEMA}
{greetings.SCHEMA}
{boots.SCHEMA}
{retention.SCHEMA}
{tallies.SCHEMA}
{changes.BEGIN}
"""


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
    """Return the same as an exception; a DamagedError if the file itself is at fault, a FullError if the
    disk is."""
    if damage.is_damage(error, path):
        return damage.DamagedError(f"{path} is damaged ({error}); {damage.WHAT_TO_DO}")
    kind = FullError if is_full(error, path) else ReceiverError
    return kind(explain(error, path))


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
        connection = connect(path, "rw")
        try:
            check_version(connection, path, allow_new=False)
            set_up(connection, path)
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


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file to write it. SQLite's ``mode`` is "rw", or "rwc" to create it."""
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=5, check_same_thread=False, factory=damage.Connection
    )


def set_up(connection: sqlite3.Connection, path: Path) -> None:
    """Set what each writer needs. Raises ReceiverError if the file system is not good enough."""
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise ReceiverError(
            f"the file system of {path} cannot hold a write-ahead log; choose a local "
            "one with --state-dir DIR"
        )
    # FULL: a commit is on the disk before it is announced.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(TEMP_STORE)


def open_reader(path: Path, older: bool = False, alone: bool = False) -> tuple[sqlite3.Connection, bool]:
    """Open the database read-only, while the service runs or not. With ``older``, also one of an
    older version. With ``alone`` nobody else has it, and SQLite leaves no files beside it. Raises
    ReceiverError.

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
            return _checked_reader(f"{uri}?mode=ro{'&immutable=1' * alone}", path, older), alone
        except sqlite3.OperationalError:
            if alone or has_log(path):
                raise
            return _checked_reader(f"{uri}?mode=ro&immutable=1", path, older), True
    except sqlite3.Error as error:
        raise failure(error, path) from error


def _checked_reader(uri: str, path: Path, older: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5, factory=damage.Connection)
    try:
        check_version(connection, path, allow_new=False, allow_older=older)
    except BaseException:
        connection.close()
        raise
    return connection


def check_version(
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


def fold(connection: sqlite3.Connection, path: Path) -> None:
    """Write the log to the file, if it is long. Others may read and write meanwhile.

    In a large database the pages of a log lie all over the file: a commit that writes them there keeps the
    next records waiting.
    """
    # On a full or failing disk, whoever writes the next record complains and waits.
    with suppress(sqlite3.OperationalError):
        if log_is_long(path):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def log_is_long(path: Path) -> bool:
    """Tell whether the write-ahead log has more than is left of it when all of it is in the file."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > LOG_BYTES
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
