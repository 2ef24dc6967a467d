# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups of crashes as a reader sees them: the same crash of many hosts once, and how it came over time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from . import crashes, numbers, tallies
from .engine import Entry
from .glance import Ask
from .many import of_many
from .query import ALL, Choice, Query, by_hosts, is_plain, limit, of_group, of_records
from .search import Finder

#: What groups are ordered by, the largest first: what is counted of those asked for, but the time when a
#: crash was first seen at all. Among equals, the one that was seen last comes first.
ORDERS = {
    "last": "last_ns",
    "first": "(SELECT known.first_ns FROM groups AS known WHERE known.signature = found.signature)",
    "hosts": "hosts",
    "records": "records",
}
#: How many of a group's newest records are compared, by how many frames of their traces, and how many
#: traces are told of.
COMPARED, _FRAMES, _MOST_TRACES = 100, 8, 10


def select(ask: Ask, query: Query, finder: Finder) -> list[dict[str, Any]]:
    """Return the groups of the matching records in the order that is asked for."""
    return _counted(ask, query) if is_plain(query) else _chosen(ask, query, finder)


def by_trace(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return how a group's records, the oldest first, differ: {title, trace: its first frames, records,
    last_record: the newest's id}, the trace of the most records first."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in entries:
        crash = entry.summary["crash"] or {"title": entry.summary["title"], "trace": []}
        key = (crash["title"], *crash["trace"][:_FRAMES])
        one = found.setdefault(key, {"title": key[0], "trace": list(key[1:]), "records": 0})
        one.update(records=one["records"] + 1, last_record=entry.summary["id"])
    return sorted(found.values(), key=lambda one: -int(one["records"]))[:_MOST_TRACES]


def timelines(
    ask: Ask, query: Query, finder: Finder, signatures: Sequence[str], start_ns: int, width_ns: int
) -> dict[str, dict[int, int]]:
    """Return how many records these groups have in each ``width_ns`` from ``start_ns`` on:
    {signature: {number of the interval: records}}."""
    marks = ", ".join("?" * len(signatures))
    # Days are counted with copies.
    by_days = is_plain(query) and width_ns >= tallies.DAY_NS
    if by_days and not (query.folded and _copies(ask, 0)):
        sql = (
            f"SELECT signature, (day * {tallies.DAY_NS} + {tallies.DAY_NS // 2} - ?) / ? AS stretch, "
            f"sum(records) AS records FROM group_days WHERE signature IN ({marks}) "
            "GROUP BY signature, stretch"
        )
        rows = ask(sql, [start_ns, width_ns, *signatures])
    else:
        chosen = by_hosts(of_records(query, finder))
        sql = (
            # No values before those of the choice, some of which have numbers.
            f"SELECT signature, (received_ns - {start_ns:d}) / {width_ns:d} AS stretch, count(*) AS records "
            f"FROM {chosen.source} WHERE {chosen.where} AND signature IN ({marks}) "
            "GROUP BY signature, stretch"
        )
        rows = ask(sql, [*chosen.values, *signatures])
    found: dict[str, dict[int, int]] = {}
    for row in rows:
        found.setdefault(row["signature"], {})[row["stretch"]] = row["records"]
    return found


def _counted(ask: Ask, query: Query) -> list[dict[str, Any]]:
    """Of all records, or all since a time: what tallies.py counts."""
    where, values = of_group(query)
    since = query.since_ns or 0
    # What is counted anew below decides any other order.
    most = limit(query) if query.order == "last" else ALL
    sql = f"SELECT * FROM groups WHERE last_ns >= ? AND {where} ORDER BY last_ns DESC LIMIT ?"
    found = [dict(row) for row in ask(sql, [since, *values, most])]
    copies = _copies(ask, since) if query.folded else {}
    cut = [group["signature"] for group in found if group["first_ns"] < since]
    part = "FROM records INDEXED BY records_by_signature WHERE signature IN ({}) AND number >= ?"
    counts = "signature, count(*) AS records, count(DISTINCT host) AS hosts, min(received_ns) AS first_ns"
    begin = numbers.since(since)
    rows = of_many(ask, f"SELECT {counts} {part} GROUP BY signature", cut, begin)
    later = {row["signature"]: dict(row) for row in rows}
    # Nothing of it may have come since, whatever its last time says.
    nothing = {"records": 0, "hosts": 0}
    firsts = {group["signature"]: group["first_ns"] for group in found}
    for group in found:
        if group["first_ns"] < since:
            group.update(later.get(group["signature"], nothing))
        group["records"] -= copies.get(group["signature"], 0)
    found = [group for group in found if group["records"] > 0]
    if query.order != "last":
        by_name = firsts if query.order == "first" else {one["signature"]: one[query.order] for one in found}
        found.sort(key=lambda one: (-by_name[one["signature"]], -one["last_ns"], one["signature"]))
    found = found[: limit(query)]
    shown = {group["signature"] for group in found}
    cut = [signature for signature in cut if signature in shown]
    whole = sorted(shown.difference(cut))
    names = of_many(ask, "SELECT signature, kernel, title FROM group_names WHERE signature IN ({})", whole)
    names_later = of_many(ask, f"SELECT DISTINCT signature, kernel, title {part}", cut, begin)
    known: dict[str, list[Any]] = {}
    for row in chain(names, names_later):
        known.setdefault(row["signature"], []).append(row)
    for group in found:
        chosen = known.get(group["signature"], ())
        group["kernels"] = sorted({row["kernel"] for row in chosen if row["kernel"]})
        group["titles"] = sorted({row["title"] for row in chosen if row["title"]})
    return found


def _copies(ask: Ask, since_ns: int) -> dict[str, int]:
    """Return how many records of each group are copies of others."""
    sql = (
        "SELECT signature, count(*) AS records FROM records INDEXED BY panics_kept "
        f"WHERE {crashes.COPY} "
        "AND signature != '' AND received_ns >= ? GROUP BY signature"
    )
    return {row["signature"]: row["records"] for row in ask(sql, [since_ns])}


def _chosen(ask: Ask, query: Query, finder: Finder) -> list[dict[str, Any]]:
    """Of records that are looked for: what is found."""
    chosen = by_hosts(of_records(query, finder))
    sql = (
        "SELECT * FROM (SELECT signature, count(*) AS records, count(DISTINCT host) AS hosts, "
        "min(received_ns) AS first_ns, max(received_ns) AS last_ns, "
        "group_concat(DISTINCT kernel) AS kernels, min(title) AS least, max(title) AS most "
        f"FROM {chosen.source} WHERE {chosen.where} AND signature != '' "
        "GROUP BY signature) AS found "
        f"ORDER BY {ORDERS[query.order]} DESC, last_ns DESC, signature LIMIT ?"
    )
    return [
        {
            **dict(row),
            "titles": _titles(ask, row, chosen),
            "kernels": sorted(filter(None, (row["kernels"] or "").split(","))),
        }
        for row in list(ask(sql, [*chosen.values, limit(query)]))
    ]


def _titles(ask: Ask, group: sqlite3.Row, chosen: Choice) -> list[str]:
    """Return all titles of a group; most have one."""
    if group["least"] == group["most"]:
        return [group["least"]] if group["least"] else []
    sql = f"SELECT DISTINCT title FROM {chosen.source} WHERE {chosen.where} AND signature = ? ORDER BY title"
    return [row["title"] for row in ask(sql, [*chosen.values, group["signature"]]) if row["title"]]
