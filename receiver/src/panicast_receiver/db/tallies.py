# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts that are kept as records come and go, so that nobody counts a million of them.

Each record counts for its type and its host; once its crash has a name, for its group too. Hello and bye
count for their type alone. Whoever stores, names or deletes one calls this within the same transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Union

from . import labels

Row = Union[Mapping[str, Any], sqlite3.Row]
#: Columns of a record that are counted by.
COLUMNS = "type, host, complete, size, received_ns, signature, kernel, title"
#: So many records make a host one of few; most hosts have fewer.
MANY = 64
DAY_NS = 86400 * 1_000_000_000
#: type_tallies: last_ns is that of the newest record there ever was, deleted or not.
SCHEMA = f"""
CREATE TABLE type_tallies (
    type TEXT PRIMARY KEY NOT NULL,
    records INTEGER NOT NULL,
    incomplete INTEGER NOT NULL,
    size INTEGER NOT NULL,
    last_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE host_tallies (host TEXT PRIMARY KEY NOT NULL, records INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX hosts_with_many ON host_tallies (records) WHERE records > {MANY};
CREATE TABLE groups (
    signature TEXT PRIMARY KEY NOT NULL,
    records INTEGER NOT NULL,
    hosts INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX groups_by_time ON groups (last_ns);
CREATE TABLE group_hosts (
    signature TEXT NOT NULL,
    host TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (signature, host)
) WITHOUT ROWID;
CREATE TABLE group_names (
    signature TEXT NOT NULL,
    kernel TEXT NOT NULL,
    title TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (signature, kernel, title)
) WITHOUT ROWID;
CREATE TABLE group_days (
    signature TEXT NOT NULL,
    day INTEGER NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (signature, day)
) WITHOUT ROWID;
"""
#: From schema 2, which counted whenever somebody asked.
CARRY_ON = f"""
{SCHEMA}
INSERT INTO type_tallies
    SELECT type, count(*), sum(NOT complete), sum(size), max(received_ns) FROM records GROUP BY type;
INSERT INTO type_tallies
    SELECT type, count(*), sum(metadata IS NULL), sum(size), max(received_ns) FROM greetings GROUP BY type;
INSERT INTO host_tallies SELECT host, count(*) FROM records GROUP BY host;
INSERT INTO groups
    SELECT signature, count(*), count(DISTINCT host), min(received_ns), max(received_ns)
    FROM records WHERE signature != '' GROUP BY signature;
INSERT INTO group_hosts
    SELECT signature, host, count(*) FROM records WHERE signature != '' GROUP BY signature, host;
INSERT INTO group_names
    SELECT signature, coalesce(kernel, ''), coalesce(title, ''), count(*) FROM records
    WHERE signature != '' GROUP BY 1, 2, 3;
INSERT INTO group_days
    SELECT signature, received_ns / {DAY_NS}, count(*) FROM records WHERE signature != '' GROUP BY 1, 2;
"""


def add(db: sqlite3.Connection, row: Row) -> None:
    """Count a record that is stored now."""
    add_to_type(db, row)
    if _more(db, "host_tallies", {"host": row["host"]}):
        labels.give(db, row["host"])
    add_to_group(db, row)


def remove(db: sqlite3.Connection, row: Row) -> None:
    """Count a record no more that is, or will be, deleted in this transaction."""
    remove_from_type(db, row)
    if _less(db, "host_tallies", {"host": row["host"]}):
        labels.leave(db, row["host"])
    remove_from_group(db, row)


def add_to_type(db: sqlite3.Connection, row: Row) -> None:
    """Count a record, hello or bye for its type alone."""
    db.execute(
        "INSERT INTO type_tallies VALUES (?, 1, ?, ?, ?) ON CONFLICT (type) DO UPDATE SET "
        "records = records + 1, incomplete = incomplete + excluded.incomplete, "
        "size = size + excluded.size, last_ns = max(last_ns, excluded.last_ns)",
        (row["type"], not row["complete"], row["size"], row["received_ns"]),
    )


def remove_from_type(db: sqlite3.Connection, row: Row) -> None:
    """Count a record, hello or bye no more for its type."""
    db.execute(
        "UPDATE type_tallies SET records = records - 1, incomplete = incomplete - ?, size = size - ? "
        "WHERE type = ?",
        (not row["complete"], row["size"], row["type"]),
    )


def resize(db: sqlite3.Connection, type: str, more: int) -> None:
    """Count that a record takes so many bytes more than it did."""
    db.execute("UPDATE type_tallies SET size = size + ? WHERE type = ?", (more, type))


def add_to_group(db: sqlite3.Connection, row: Row) -> None:
    """Count a record for the group of its signature, if it has one."""
    signature, moment = row["signature"], row["received_ns"]
    if not signature:
        return
    new_host = _more(db, "group_hosts", {"signature": signature, "host": row["host"]})
    names = {"signature": signature, "kernel": row["kernel"] or "", "title": row["title"] or ""}
    _more(db, "group_names", names)
    _more(db, "group_days", {"signature": signature, "day": moment // DAY_NS})
    db.execute(
        "INSERT INTO groups VALUES (?, 1, 1, ?, ?) ON CONFLICT (signature) DO UPDATE SET "
        "records = records + 1, hosts = hosts + ?, first_ns = min(first_ns, excluded.first_ns), "
        "last_ns = max(last_ns, excluded.last_ns)",
        (signature, moment, moment, new_host),
    )


def remove_from_group(db: sqlite3.Connection, row: Row) -> None:
    """Count a record no more for its group: it is being deleted, or gets another name. The group's
    first and last time are looked up again by the next call of ``settle``."""
    signature = row["signature"]
    if not signature:
        return
    host_gone = _less(db, "group_hosts", {"signature": signature, "host": row["host"]})
    names = {"signature": signature, "kernel": row["kernel"] or "", "title": row["title"] or ""}
    _less(db, "group_names", names)
    _less(db, "group_days", {"signature": signature, "day": row["received_ns"] // DAY_NS})
    db.execute(
        "UPDATE groups SET records = records - 1, hosts = hosts - ? WHERE signature = ?",
        (host_gone, signature),
    )


def settle(db: sqlite3.Connection, signature: str | None) -> None:
    """Look up a group's first and last time again, after a record has left it; forget it if it is
    empty."""
    if not signature:
        return
    db.execute("DELETE FROM groups WHERE signature = ? AND records <= 0", (signature,))
    # The order of numbers is that of time, and an index has it: nobody looks at the whole group.
    time = "(SELECT received_ns FROM records WHERE signature = groups.signature ORDER BY number {} LIMIT 1)"
    db.execute(
        f"UPDATE groups SET first_ns = coalesce({time.format('ASC')}, first_ns), "
        f"last_ns = coalesce({time.format('DESC')}, last_ns) WHERE signature = ?",
        (signature,),
    )


def _more(db: sqlite3.Connection, table: str, key: Mapping[str, Any]) -> bool:
    """Add one to a row of a table; tell whether the row is new."""
    where, values = " AND ".join(f"{name} = ?" for name in key), tuple(key.values())
    if db.execute(f"UPDATE {table} SET records = records + 1 WHERE {where}", values).rowcount:
        return False
    marks = ", ".join("?" * len(key))
    db.execute(f"INSERT INTO {table} ({', '.join(key)}, records) VALUES ({marks}, 1)", values)
    return True


def _less(db: sqlite3.Connection, table: str, key: Mapping[str, Any]) -> bool:
    """Take one from a row of a table; tell whether the row is gone."""
    where, values = " AND ".join(f"{name} = ?" for name in key), tuple(key.values())
    db.execute(f"UPDATE {table} SET records = records - 1 WHERE {where}", values)
    return bool(db.execute(f"DELETE FROM {table} WHERE {where} AND records <= 0", values).rowcount)
