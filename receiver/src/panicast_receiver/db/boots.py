# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of each boot of each host: kept as hello, bye and panic come, told as the fleet's state.

A host is known by its name, one run of its module by the boot id. A name that two machines share shows as two
rows, as long as both say hello.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from ..records.record import Record
from ..text import iso_time
from ..wire.v1 import STATE_TYPES

#: In the order of how much they want to be seen.
STATES = ("panicked", "silent", "armed", "goodbye", "unknown")
_NS = 1_000_000_000


def note(db: sqlite3.Connection, record: Record, host: str) -> None:
    """Take a stored v1 record into account, within the store's transaction."""
    if record.boot_id is None or record.type not in {*STATE_TYPES, "panic"}:
        return
    row = db.execute("SELECT * FROM boots WHERE boot_id = ?", (record.boot_id,)).fetchone()
    meta, event = record.meta, record.event or 0
    if row and event <= row["event"] and record.type in STATE_TYPES:
        # A repetition, or an old greeting played again: the host is not heard of by that.
        return
    interfaces = json.loads(row["interfaces"]) if row else {}
    if meta.get("iface"):
        interfaces[meta["iface"]] = meta.get("mac", "").lower()
    state = record.type if record.type in STATE_TYPES else row["state"] if row else "unknown"
    panicked = record.received_ns if record.type == "panic" else None
    if row and row["panicked_ns"] is not None:
        panicked = row["panicked_ns"]
    db.execute(
        "INSERT OR REPLACE INTO boots (boot_id, host, state, event, first_ns, last_ns, panicked_ns, kernel, "
        "module, interfaces, source_ip) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.boot_id,
            host,
            state,
            max(event, row["event"]) if row else event,
            row["first_ns"] if row else record.received_ns,
            max(record.received_ns, row["last_ns"]) if row else record.received_ns,
            panicked,
            meta.get("release") or (row["kernel"] if row else ""),
            meta.get("module") or (row["module"] if row else ""),
            json.dumps(interfaces),
            record.source.ip or (row["source_ip"] if row else None),
        ),
    )


def hosts(rows: Iterable[sqlite3.Row], now_ns: int, silent_s: float) -> list[dict[str, Any]]:
    """The objects that ``hosts --json`` prints, by name, of all rows of ``boots``."""
    by_host: dict[str, list[sqlite3.Row]] = {}
    for row in rows:
        by_host.setdefault(row["host"], []).append(row)
    return [_as_json(row, now_ns, silent_s) for name in sorted(by_host) for row in _present(by_host[name])]


def _present(boots: list[sqlite3.Row]) -> list[sqlite3.Row]:
    """The newest boot, and those of other machines of that name: heard after the newest began."""
    boots = sorted(boots, key=lambda row: row["last_ns"])
    began = boots[-1]["first_ns"]
    return [row for row in boots if row["last_ns"] > began or row is boots[-1]]


def _as_json(row: sqlite3.Row, now_ns: int, silent_s: float) -> dict[str, Any]:
    return {
        "host": row["host"],
        "state": _state(row, now_ns, silent_s),
        "last_seen": iso_time(row["last_ns"]),
        "first_seen": iso_time(row["first_ns"]),
        "panicked": iso_time(row["panicked_ns"]),
        "kernel": row["kernel"],
        "module": row["module"],
        "interfaces": json.loads(row["interfaces"]),
        "ip": row["source_ip"],
        "boot_id": row["boot_id"].hex(),
    }


def _state(row: sqlite3.Row, now_ns: int, silent_s: float) -> str:
    if row["panicked_ns"] is not None:
        return "panicked"
    if row["state"] == "bye":
        return "goodbye"
    if row["state"] != "hello":
        return "unknown"
    return "silent" if now_ns - row["last_ns"] > silent_s * _NS else "armed"
