# SPDX-License-Identifier: GPL-2.0-or-later
"""Says how many days of records the limits keep, at the rate of the last weeks."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..errors import ReceiverError
from . import numbers, schema
from .retention import Retention

#: Days over which the rate is measured, and the bytes of a record if there are none: 64 KiB of log,
#: compressed.
_WINDOW, _TYPICAL_BYTES = 30.0, 24 << 10
_DAY_NS = 86400 * 1_000_000_000
#: Beyond so many days no number is given.
_FAR = 3650.0


def tell(state_dir: Path, retention: Retention, now_ns: int) -> list[str]:
    """Return a sentence for each limit."""
    path = state_dir / schema.FILE_NAME
    folder = next(place for place in (state_dir, *state_dir.parents) if place.exists())
    size = retention.bytes(path if path.exists() else folder / schema.FILE_NAME)
    said = f"the database may have {size >> 20} MiB"
    if not retention.size:
        said += " (keep_mib is 0: as the disk allows)"
    count, taken, span, busiest = _rate(path, now_ns)
    if not count:
        many = f"some {size // _TYPICAL_BYTES:,} records"
        return [f"{said}: {many}; for how many days is known once records have come"]
    rate = taken / span
    lines = [
        f"{said}: at the rate of the last {span:.1f} days ({rate / (1 << 20):.2f} MiB a day, "
        f"{taken // count >> 10} KiB a record) records are kept for {_days(size / rate)}"
    ]
    if retention.per_host:
        host, records = busiest
        lines.append(
            f"records_per_host is {retention.per_host}: those of the busiest host, {host}, are kept for "
            f"{_days(retention.per_host * span / records)}"
        )
    if retention.days:
        lines.append(f"keep_days is {retention.days:g}: nothing is kept longer")
    return lines


def _days(days: float) -> str:
    return f"{days:,.1f} days" if days < _FAR else "more than ten years"


def _rate(path: Path, now_ns: int) -> tuple[int, int, float, tuple[str, int]]:
    """Return the records of the last days, their bytes, the number of days (at least one), and the
    host with the most records."""
    none = 0, 0, 1.0, ("", 0)
    try:
        database, _ = schema.open_reader(path)
    except ReceiverError:
        return none
    since = now_ns - int(_WINDOW * _DAY_NS)
    try:
        count, taken, first = database.execute(
            "SELECT count(*), sum(size), min(received_ns) FROM records WHERE number >= ?",
            (numbers.since(since),),
        ).fetchone()
        busiest = database.execute(
            "SELECT host, count(*) AS records FROM records WHERE number >= ? "
            "GROUP BY host ORDER BY records DESC LIMIT 1",
            (numbers.since(since),),
        ).fetchone()
    except sqlite3.Error:
        return none
    finally:
        database.close()
    if not count or busiest is None:
        return none
    return count, taken, max(1.0, (now_ns - first) / _DAY_NS), (busiest[0], busiest[1])
