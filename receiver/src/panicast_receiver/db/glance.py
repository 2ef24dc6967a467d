# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds what the first page begins with: what needs attention now, and whether hosts have come
back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Callable

from . import boots, crashes, maintenance, numbers
from .many import of_many

Ask = Callable[[str, list[Any]], Iterator[sqlite3.Row]]
_HOUR_NS = 3600 * 1_000_000_000
_DAY_NS = 24 * _HOUR_NS


def burning(ask: Ask, ages: boots.Ages, now_ns: int) -> dict[str, int]:
    """Return {hour, day: panics since then; new: crashes that were first seen within the day;
    regressed: crashes that are back although they were resolved; panicked, silent: hosts that are so
    now; maintenance: those that are so in a window, and not counted there}."""
    # One index has all panics in their order, another one what was kept: no record is read for it.
    panics = (
        "SELECT (SELECT count(*) FROM records INDEXED BY records_by_type "
        "WHERE type = 'panic' AND number >= ?1) - (SELECT count(*) FROM records INDEXED BY panics_kept "
        f"WHERE {crashes.COPY} AND number >= ?1)"
    )
    new = "SELECT count(*) FROM groups WHERE last_ns >= ? AND first_ns >= ?"
    regressed = "SELECT count(*) FROM group_states JOIN groups USING (signature) WHERE state = 'regressed'"
    hosts = (
        f"SELECT shown, count(*) AS hosts FROM (SELECT {boots.SHOWN} AS shown FROM boots WHERE current) "
        "AS now WHERE shown IN ('panicked', 'silent') GROUP BY shown"
    )
    hour_ns, day_ns = now_ns - _HOUR_NS, now_ns - _DAY_NS
    states = {row["shown"]: row["hosts"] for row in ask(hosts, ages.values(now_ns))}
    planned = maintenance.states(ask, boots.SHOWN, ages.values(now_ns), now_ns)
    expected = {state: planned.get(state, 0) for state in ("panicked", "silent")}
    return {
        "hour": next(ask(panics, [numbers.since(hour_ns)]))[0],
        "day": next(ask(panics, [numbers.since(day_ns)]))[0],
        "new": next(ask(new, [day_ns, day_ns]))[0],
        "regressed": next(ask(regressed, []))[0],
        **{state: states.get(state, 0) - count for state, count in expected.items()},
        "maintenance": sum(expected.values()),
    }


def new(ask: Ask, signatures: Sequence[str], now_ns: int) -> set[str]:
    """Return which of these crashes were first seen within the day."""
    return {name for name, first_ns in firsts(ask, signatures).items() if first_ns >= now_ns - _DAY_NS}


def firsts(ask: Ask, signatures: Sequence[str]) -> dict[str, int]:
    """Return when each of these crashes was first seen, in ns, whatever is asked for now."""
    sql = "SELECT signature, first_ns FROM groups WHERE signature IN ({})"
    return {row["signature"]: row["first_ns"] for row in of_many(ask, sql, signatures)}


def states(ask: Ask, hosts: Sequence[str], ages: boots.Ages, now_ns: int) -> dict[str, str]:
    """Return the state of each of these hosts; of two machines with one name, the newer's."""
    if not hosts:
        return {}
    sql = (
        f"SELECT host, {boots.SHOWN} AS shown FROM boots WHERE current "
        f"AND host IN ({', '.join('?' * len(hosts))}) ORDER BY last_ns"
    )
    return {row["host"]: row["shown"] for row in ask(sql, [*ages.values(now_ns), *hosts])}
