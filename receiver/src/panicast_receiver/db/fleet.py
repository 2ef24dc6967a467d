# SPDX-License-Identifier: GPL-2.0-or-later
"""What boots say of a fleet: how long hosts ran and how often they crashed, by kernel and by label; and the
boots of one host."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

from . import boots, labels, maintenance

Ask = Callable[[str, list[Any]], Iterator[sqlite3.Row]]
#: What is told of, and boots of a host: a host may make up any number.
MOST_VALUES, MOST_BOOTS = 100, 50
_DAY_NS = 86_400 * 1_000_000_000
#: Whether a boot ended in a crash of one group: the time of its panic is that of a record.
_OF_GROUP = "(boots.host, panicked_ns) IN (SELECT records.host, received_ns FROM records WHERE signature = ?)"


class Asked(NamedTuple):
    """What crashes are counted by: ``kernel``, ``label:NAME``, or what only a crash tells (traits.py). Of
    which ``group``, since when, and whether only of what is ``sealed``."""

    by: str = "kernel"
    group: str | None = None
    since_ns: int = 0
    sealed: bool = False


#: What a receiver knows of boots that have said something since a change, with its ``event`` as ``said``.
_HEARD = f"""SELECT greetings.changed AS changed, greetings.event AS said, boots.*,
    {labels.OF.format("boots")} AS labels FROM greetings JOIN boots USING (boot_id, host, sealed)
    WHERE greetings.changed > ? ORDER BY greetings.changed LIMIT ?"""


def ran(ask: Ask, asked: Asked, now_ns: int) -> list[dict[str, Any]]:
    """Return {value, hosts, host_days: heard of, unsealed_days: of those, crashes: boots that panicked,
    crashed: hosts that did} of each kernel, or of each value of a label, the one that ran longest first.

    A boot counts by what was heard of it. One that never said hello is not counted: its crash would be
    known, and not how long it ran before."""
    label = asked.by.partition(":")[2]
    value, source = ("labels.value", "boots JOIN labels USING (host)") if label else ("kernel", "boots")
    sql = (
        "SELECT value, count(DISTINCT host) AS hosts, sum(days) AS host_days, "
        "sum(CASE WHEN sealed THEN 0 ELSE days END) AS unsealed_days, "
        "count(CASE WHEN crashed THEN 1 END) AS crashes, "
        "count(DISTINCT CASE WHEN crashed THEN host END) AS crashed FROM ("
        f"SELECT {value} AS value, boots.host AS host, sealed, "
        f"max(0, min(last_ns, ?) - max(first_ns, ?)) / {_DAY_NS}.0 AS days, "
        "panicked_ns IS NOT NULL AND panicked_ns BETWEEN ? AND ? "
        f"{f'AND {_OF_GROUP} ' if asked.group else ''}AS crashed FROM {source} "
        "WHERE last_ns >= ? AND state != 'unknown' "
        f"{'AND labels.name = ? ' if label else ''}{'AND sealed ' if asked.sealed else ''}) AS heard "
        "WHERE value != '' GROUP BY value ORDER BY host_days DESC, value LIMIT ?"
    )
    since_ns = asked.since_ns
    values = [now_ns, since_ns, since_ns, now_ns, *filter(None, (asked.group,)), since_ns]
    return [dict(row) for row in ask(sql, [*values, *filter(None, (label,)), MOST_VALUES])]


def heard(ask: Ask, after: int, most: int) -> tuple[int, list[dict[str, Any]]]:
    """Return what the central store is told of boots that have said hello or bye after a change, in that
    order; and the last one's change. The same boot comes again whenever it has said more."""
    rows = list(ask(_HEARD, [after, most]))
    told = [
        {
            "host": row["host"],
            "state": row["state"],
            "said": row["said"],
            "event": row["event"],
            **boots.known(row),
        }
        for row in rows
    ]
    return rows[-1]["changed"] if rows else after, told


def boots_of(ask: Ask, host: str, ages: boots.Ages, now_ns: int) -> list[dict[str, Any]]:
    """Return the boots of a host as ``hosts --json`` prints them, and whether each is ``current``; the
    newest first."""
    sql = (
        f"SELECT *, {boots.SHOWN} AS shown, {labels.OF.format('boots')} AS labels, "
        f"{maintenance.OF.format(table='boots', at=int(now_ns))} AS maintenance FROM boots WHERE host = ? "
        f"ORDER BY current DESC, last_ns DESC LIMIT {MOST_BOOTS}"
    )
    rows = ask(sql, [*ages.values(now_ns), host])
    return [{**boots.show(row), "current": bool(row["current"])} for row in rows]
