# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides who is believed: sealed records before unsealed ones; and which records claim the same
event.

A record is doubted if it is unsealed although its host, or this boot of it, has sealed something.
It changes nothing. A record is contested if another record that is not doubted claims the same boot
and event. Nobody can tell which one is honest, so both are kept. A sealed record is contested by sealed
ones alone: who has no key can claim its event under any host's name.
"""

from __future__ import annotations

import sqlite3
from typing import Callable

from ..records.record import Record
from ..wire.v1 import FLAG_SEALED
from . import greetings, keys

_SEALED = f"(flags & {FLAG_SEALED} != 0)"
#: More than any identity that begins with the same boot id, or boot id and event.
_AFTER = b"\xff" * 33


def doubted(db: sqlite3.Connection, record: Record, host: str) -> bool:
    """Tell whether this record is doubted."""
    # By name alone: who has a key of its own can seal with another host's boot id, which all may hear.
    if record.sealed or not host:
        return False
    found = db.execute("SELECT 1 FROM boots WHERE host = ? AND sealed = 1 LIMIT 1", (host,)).fetchone()
    return found is not None


def doubt_earlier(db: sqlite3.Connection, boot_id: bytes, host: str) -> None:
    """Doubt the earlier records of this boot, because it has now sealed something for the first
    time."""
    db.execute(
        # By the boot, not by the host, of which there may be many.
        "UPDATE records SET doubted = 1 "
        f"WHERE {keys.IN_BOTH} AND identity > ? AND identity < ? AND +host = ? "
        f"AND NOT flags & {FLAG_SEALED}",
        (boot_id, boot_id + _AFTER, host),
    )
    greetings.doubt(db, boot_id, host)


def contest(db: sqlite3.Connection, record: Record, is_doubted: bool, change: Callable[[], int]) -> bool:
    """Tell whether other records claim this record's event. Mark those under a new ``change``, if
    they were not marked. A doubted record is contested, but marks no other."""
    if record.boot_id is None or record.event is None:
        return False
    name = record.boot_id + record.event.to_bytes(4, "big")
    # As many of a kind as there are, all are marked as soon as there are two: one tells. What is not sealed
    # is contested by any, so one of any kind tells; who makes up very many has not all of them looked at.
    kinds = (_SEALED, f"NOT {_SEALED}") if record.sealed else ("TRUE",)
    rivals = [
        db.execute(
            f"SELECT number, contested, {_SEALED} AS sealed FROM records "
            f"WHERE {keys.IN_BOTH} AND identity >= ? AND identity < ? AND identity != ? "
            f"AND (? OR NOT doubted) AND {kind} LIMIT 1",
            (name, name + _AFTER, record.identity, is_doubted),
        ).fetchone()
        for kind in kinds
    ]
    found = [rival for rival in rivals if rival is not None]
    for rival in found:
        if not is_doubted and not rival["contested"] and (record.sealed or not rival["sealed"]):
            values = (change(), rival["number"])
            db.execute("UPDATE records SET contested = 1, changed = ? WHERE number = ?", values)
    return any(rival["sealed"] or not record.sealed for rival in found)
