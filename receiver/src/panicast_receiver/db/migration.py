# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the database, or upgrades an older one step by step."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from pathlib import Path
from typing import Callable

from ..errors import FullError, ReceiverError
from ..log import logger
from ..records.record import id_of
from ..wire.v1 import identity_of
from . import bodies, boots, changes, copies, greetings, numbers, retention, rows, schema, tallies
from .schema import (
    APPLICATION_ID,
    SCHEMA,
    TEMP_STORE,
    VERSION,
    check_version,
    connect,
    failure,
    is_full,
    set_up,
)

#: What an upgrade takes for a while, beside the file and in its sizes: what is new, and the log of all that.
_UPGRADE = 4
#: SQLite's steps between two signs of life while an older file is brought up to date: a row takes some ten.
BEAT_STEPS = 1000
_INCREMENTAL = 2

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
{schema.RECORDS}
CREATE TEMP VIEW carried AS SELECT records_2.*, number, CASE format WHEN 'v1'
    THEN v1_identity(identity, type, flags, boot_id, event, frames, text_length, time_ns, header_host)
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
{schema.NEW_IN_3}
{boots.CARRY_ON}
{retention.CARRY_ON}
{tallies.CARRY_ON}
{changes.CARRY_ON}
""",
}


class NoRoomError(FullError):
    """An older file cannot be upgraded: the disk has no room for that."""


def make(path: Path, beat: Callable[[], None] = lambda: None) -> sqlite3.Connection:
    """Open the database; create it or upgrade it if needed. Only who holds the folder's lock may do
    this. Raises ReceiverError with a sentence.

    ``beat`` is called now and then during an upgrade, which may take minutes.
    """
    try:
        connection = connect(path, "rwc")
        try:
            version = check_version(connection, path, allow_new=True)
            if not version:
                # Pages that are free can be given back, a few at a time; it must be said before all else.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            set_up(connection, path)
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


def _bring_up_to_date(connection: sqlite3.Connection, version: int, beat: Callable[[], None]) -> None:
    """Create the tables, or upgrade them step by step from the file's version; all or nothing."""
    if version == VERSION:
        return
    connection.create_function("v1_identity", 9, v1_identity, deterministic=True)
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
        connection.executescript(f"PRAGMA temp_store_directory = ''; {TEMP_STORE};")


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
    identity: bytes,
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

    Schema 2 identified records by boot id and event, and did not keep the key id. Where the disk has made
    something else of a value, the record keeps the identity that it had: it must not keep the service from
    starting.
    """
    try:
        return identity_of(kind, flags, boot_id, event, frames, text_length, time_ns % (1 << 64), host)
    except (struct.error, AttributeError, LookupError, TypeError, ValueError):
        return identity
