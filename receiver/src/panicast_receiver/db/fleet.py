# SPDX-License-Identifier: GPL-2.0-or-later
"""What boots say of a fleet: how long kernels ran and how often they crashed, and the boots of one host."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Callable

from . import boots, labels, maintenance

Ask = Callable[[str, list[Any]], Iterator[sqlite3.Row]]
#: Kernels, and boots of a host, that are told of: a host may make up any number.
MOST_KERNELS, MOST_BOOTS = 100, 50
_DAY_NS = 86_400 * 1_000_000_000
#: A boot counts by what was heard of it since ?1 and until ?2. One that never said hello is not counted: its
#: crash would be known, and not how long it ran before.
_KERNELS = f"""
SELECT kernel, count(DISTINCT host) AS hosts,
    sum(max(0, min(last_ns, ?2) - max(first_ns, ?1)) / {_DAY_NS}.0) AS host_days,
    count(CASE WHEN panicked_ns BETWEEN ?1 AND ?2 THEN 1 END) AS crashes,
    count(DISTINCT CASE WHEN panicked_ns BETWEEN ?1 AND ?2 THEN host END) AS crashed
FROM boots WHERE last_ns >= ?1 AND kernel != '' AND state != 'unknown'
GROUP BY kernel ORDER BY host_days DESC, kernel LIMIT {MOST_KERNELS}
"""


def kernels(ask: Ask, since_ns: int, now_ns: int) -> list[dict[str, Any]]:
    """Return {kernel, hosts, host_days: heard of, crashes: boots that panicked, crashed: hosts that
    did} since a time, the kernel that ran longest first."""
    return [dict(row) for row in ask(_KERNELS, [since_ns, now_ns])]


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
