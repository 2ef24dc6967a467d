# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of the records, as tables and conditions of SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..wire.v1 import STATE_TYPES
from . import crashes, greetings, groups, keys, labels, numbers, search

#: As a limit, all that there are: more rows than any table has.
ALL = 1 << 62


class Query(NamedTuple):
    """Selects records. None means no restriction. ``everything`` adds hello and bye."""

    type: str | None = None
    host: str | None = None
    since_ns: int | None = None
    limit: int | None = None
    everything: bool = False
    #: The signature of the crash, or how it begins.
    group: str | None = None
    #: What a person looks for, in the language of search.py.
    search: str | None = None
    #: Only records with a lower number: what follows in a list with the newest first.
    before: int | None = None
    #: Only groups in this state, see groups.py.
    state: str | None = None
    #: A crash once: without what was kept of it, where what it sent itself is there.
    folded: bool = False
    #: Which groups come first, one of grouped.ORDERS.
    order: str = "last"


class Choice(NamedTuple):
    """The tables to read, the condition, the condition's values, and the column that is in the order of
    the list."""

    source: str
    where: str
    values: list[Any]
    order: str = "number"
    #: Labels of hosts that are asked for, where records are read in their order.
    terms: Sequence[labels.Term] = ()


def by_hosts(choice: Choice) -> Choice:
    """Return the same choice by the index of hosts: for those of few hosts among many records, or where
    all that fit are read."""
    if not choice.terms:
        return choice
    has, values = labels.having(choice.terms)
    found = f"SELECT number FROM records WHERE {keys.IN_BOTH} AND {' AND '.join(has)}"
    return choice._replace(where=f"number IN ({found}) AND {choice.where}", values=[*values, *choice.values])


def is_plain(query: Query) -> bool:
    """Tell whether a query chooses by time and group alone."""
    return not (query.type or query.host or query.search or query.before)


def limit(query: Query) -> int:
    """Return a query's limit as SQL has it."""
    return ALL if query.limit is None else query.limit


def of_group(query: Query, table: str = "groups") -> tuple[str, list[Any]]:
    """Return the condition that a group or its state is the one asked for, and its values."""
    parts: list[str] = []
    values: list[Any] = []
    if query.state is not None:
        parts.append(f"signature != '' AND {groups.SHOWN.format(table)} = ?")
        values.append(query.state)
    group = (query.group or "").lower()
    if len(group) == groups.SIGNATURE:
        parts.append("signature = ?")
        values.append(group)
    elif query.group is not None:
        # "g" sorts after every hexadecimal digit.
        parts.append("signature >= ? AND signature < ?")
        values += [group, group + "g"]
    return " AND ".join(parts) or "TRUE", values


def choices(query: Query, finder: search.Finder, pending: bool = False) -> list[Choice]:
    """Return what to read, one table after the other: records, and hello and bye if they are asked for.
    With ``pending`` it is about few records, and those without a meaning fit all words."""
    found = []
    if query.type not in STATE_TYPES:
        found.append(of_records(query, finder, pending))
    if query.type in STATE_TYPES or (query.everything and not query.type):
        found += _of_greetings(query)
    return found


def of_records(query: Query, finder: search.Finder, pending: bool = False) -> Choice:
    """Return what to read of the records alone."""
    asked = search.parse(query.search) if query.search else search.Search()
    source, order = "records", "number"
    parts: list[str] = []
    values: list[Any] = []
    if asked.found and pending:
        parts.append(f"(signature IS NULL OR {finder.has_too})")
        values.append(finder.every(asked.found))
    elif asked.found:
        source, order = finder.source, finder.order
        narrowed = search.host_is(query.host) if query.host else ()
        parts.append(finder.has)
        values.append(finder.every((*narrowed, *asked.found)))
    if asked.absent:
        parts.append(finder.lacks)
        values.append(finder.any(asked.absent))
    if query.host is not None and not asked.found and not pending:
        source = keys.either("host = ?1")
        values.insert(0, query.host)
    elif query.host is not None:
        parts.append("host = ?")
        values.append(query.host)
    where, its_values = _common(query, asked, order)
    if query.folded:
        where += f" AND {crashes.FIRST}"
    terms = () if query.host is not None or asked.found or pending else asked.labels
    return Choice(source, " AND ".join([*parts, where]), values + its_values, order, terms)


def _of_greetings(query: Query) -> list[Choice]:
    asked = search.parse(query.search) if query.search else search.Search()
    # They belong to no group, and nobody looks for words in them.
    if asked.found or query.group is not None or query.state is not None:
        return []
    where, values = _common(query, asked, "number")
    if query.host is not None:
        where, values = f"host = ? AND {where}", [query.host, *values]
    return [Choice(greetings.AS_RECORDS, where, values)]


def _common(query: Query, asked: search.Search, order: str) -> tuple[str, list[Any]]:
    """Return the conditions that need no index of their own, and their values."""
    parts, values = ["TRUE"], list[Any]()
    if query.type is not None:
        parts.append("type = ?")
        values.append(query.type)
    if query.group is not None or query.state is not None:
        where, its_values = of_group(query, "records")
        parts.append(where)
        values += its_values
    if asked.labels:
        has, its_values = labels.having(asked.labels, "records.host")
        parts += has
        values += its_values
    since_ns = max(query.since_ns or 0, asked.since_ns or 0)
    if since_ns:
        # The number finds it, the time decides.
        parts.append(f"{order} >= ? AND received_ns >= ?")
        values += [numbers.since(since_ns), since_ns]
    if query.before is not None:
        parts.append(f"{order} < ?")
        values.append(query.before)
    return " AND ".join(parts), values
