# SPDX-License-Identifier: GPL-2.0-or-later
"""The reading side of a database: what list, show, follow, export and the page query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any, Callable, TypeVar

from ..errors import NotFoundError, UsageError
from ..records.record import Record
from ..text import iso_time
from ..wire.v1 import STATE_TYPES
from . import (
    boots,
    changes,
    fleet,
    glance,
    greetings,
    grouped,
    groups,
    keys,
    labels,
    places,
    queueing,
    search,
    traits,
)
from . import maintenance as windows
from .engine import Engine, Entry, Place
from .query import ALL, Choice, Query, by_hosts, choices, limit
from .sqlite import SQLite

__all__ = ["Entry", "Query", "Reader"]

#: Whether a host is to be in a maintenance window.
_IN_WINDOW = {None: "TRUE", True: "maintenance IS NOT NULL", False: "maintenance IS NULL"}
T = TypeVar("T")
#: What answers SQL.
Ask = Callable[[str, "list[Any]"], "Iterator[Any]"]


class Reader:
    """A read-only view of a database: that of a state folder, or another one. Raises ReceiverError."""

    def __init__(self, place: Place) -> None:
        self._engine: Engine = SQLite(place) if isinstance(place, Path) else place()

    def close(self) -> None:
        """Close the database."""
        self._engine.close()

    def until(self, deadline: float) -> None:
        """Set a deadline, a reading of the monotonic clock: an answer that takes longer raises
        ReceiverError."""
        self._engine.until(deadline)

    def is_stale(self) -> bool:
        """Tell whether it sees no more of what others write: another one must be opened."""
        return self._engine.is_stale()

    def size(self) -> int:
        """Return the bytes of the database on the disk."""
        return self._engine.size()

    def select(self, query: Query) -> list[Entry]:
        """Return the matching records, oldest first; ``limit`` keeps the newest."""
        found = [self._chosen(one, f"{one.order} DESC", limit(query)) for one in self._choices(query)]
        newest = merge(*found, key=lambda entry: entry.number, reverse=True)
        return list(islice(newest, query.limit))[::-1]

    def every(self, query: Query) -> Iterator[Entry]:
        """Yield the matching records, oldest first, one at a time; ``limit`` does not count."""
        found = [self._chosen(one, one.order, ask=self._engine.each) for one in self._choices(query)]
        yield from merge(*found, key=lambda entry: entry.number)

    def changed_since(self, cursor: int, query: Query) -> list[Entry]:
        """Return the matching records stored or completed after ``cursor``, in that order;
        ``limit`` keeps the first. Of words that are looked for, those are among them whose meaning
        is not known: nobody can tell yet."""
        # What is written between two looks comes with the next call.
        newest, found = self.cursor(), []
        for one in self._choices(query, pending=True):
            where = f"changed > ? AND changed <= ? AND turn != {queueing.WAITS} AND {one.where}"
            due = one._replace(where=where, values=[cursor, newest, *one.values])
            found.append(self._chosen(due, "changed", limit(query)))
        return list(islice(merge(*found, key=lambda entry: entry.changed), query.limit))

    def groups(self, query: Query) -> list[dict[str, Any]]:
        """Return the objects that ``groups --json`` prints: the same crash of many hosts once. What
        comes first in the query's order is last."""
        rows = grouped.select(self._rows, query, self._engine.finder)
        states = groups.statuses(self._rows, [row["signature"] for row in rows])
        return [
            {
                "signature": row["signature"],
                "title": row["titles"][0] if row["titles"] else None,
                "titles": row["titles"],
                "records": row["records"],
                "hosts": row["hosts"],
                "first": iso_time(row["first_ns"]),
                "last": iso_time(row["last_ns"]),
                "kernels": row["kernels"],
                "status": states[row["signature"]],
            }
            for row in reversed(rows)
        ]

    def group(self, prefix: str) -> dict[str, Any]:
        """Return the one group whose signature starts with ``prefix``, with what was decided about
        it, where it was seen and how it differs. Raises ReceiverError if there is none or several."""
        signature = self._ask(groups.full, prefix)
        known = self.groups(Query(group=signature, folded=True))
        # Its records may be deleted; what was decided stays.
        gone: dict[str, Any] = {
            "title": None,
            "titles": [],
            "records": 0,
            "hosts": 0,
            "first": None,
            "last": None,
        }
        states = groups.statuses(self._rows, [signature])
        group = known[0] if known else {**gone, "kernels": [], "status": states[signature]}
        newest = self.select(Query(group=signature, folded=True, limit=grouped.COMPARED))
        by_trace = grouped.by_trace(newest)
        return {**group, "signature": signature, **self._ask(groups.story, signature), "by_trace": by_trace}

    def _ask(self, question: Callable[[Any, str], T], signature: str) -> T:
        with self._engine.explained():
            return question(self._engine.db, signature)

    def timelines(
        self, query: Query, signatures: Sequence[str], start_ns: int, width_ns: int
    ) -> dict[str, dict[int, int]]:
        """See grouped.timelines()."""
        return grouped.timelines(self._rows, query, self._engine.finder, signatures, start_ns, width_ns)

    def totals(self) -> list[dict[str, Any]]:
        """Return for each type: {type, records, incomplete, last_ns}."""
        sql = "SELECT type, records, incomplete, last_ns FROM type_tallies WHERE records > 0"
        return [dict(row) for row in self._rows(sql, [])]

    def group_count(self) -> int:
        """Return the number of groups."""
        return int(next(self._rows("SELECT count(*) FROM groups", []))[0])

    def backlogs(self) -> dict[str, int]:
        """Return how many records each sink has not received yet."""
        sql = (
            "SELECT sink, (SELECT count(*) FROM records "
            "WHERE records.changed > cursors.changed OR turn = 1) AS records FROM cursors"
        )
        return {row["sink"]: row["records"] for row in self._rows(sql, [])}

    def hosts(
        self,
        ages: boots.Ages,
        now_ns: int,
        state: str | None = None,
        words: Sequence[str] = (),
        limit: int | None = None,
        maintenance: bool | None = None,
        sealed: bool = False,
        order: str = "name",
    ) -> list[dict[str, Any]]:
        """Return the objects that ``hosts --json`` prints, in one of boots.ORDERS. ``words`` are found in
        the host's name, kernel or address, or are its labels (label:rack=r12). Those that are retired are
        left out unless they are asked for. ``maintenance``: only those that are in a window, or that are in
        none; ``sealed``: only those that seal."""
        where, values = _named(words)
        window = windows.OF.format(table="boots", at=int(now_ns))
        sql = (
            f"SELECT * FROM (SELECT *, {boots.SHOWN} AS shown, {labels.OF.format('boots')} AS labels, "
            f"{window} AS maintenance FROM boots WHERE current AND {where} "
            f"{'AND sealed' if sealed else ''}) AS now "
            f"WHERE {'shown = ?' if state else 'shown != ?'} AND {_IN_WINDOW[maintenance]} "
            f"ORDER BY {boots.ORDERS[order]} LIMIT ?"
        )
        rows = self._rows(
            sql, [*ages.values(now_ns), *values, state or "retired", ALL if limit is None else limit]
        )
        return [boots.show(row) for row in rows]

    def host_states(
        self, ages: boots.Ages, now_ns: int, words: Sequence[str] = (), sealed: bool = False
    ) -> dict[str, int]:
        """Return how many hosts are in each state that any is in, of all or of those that seal."""
        where, values = _named(words)
        sql = (
            f"SELECT {boots.SHOWN} AS shown, count(*) AS hosts FROM boots WHERE current AND {where} "
            f"{'AND sealed ' if sealed else ''}GROUP BY shown"
        )
        rows = self._rows(sql, [*ages.values(now_ns), *values])
        return {row["shown"]: row["hosts"] for row in rows}

    def maintained(self, ages: boots.Ages, now_ns: int) -> dict[str, int]:
        """Return how many of them are in a maintenance window, by state."""
        return windows.states(self._rows, boots.SHOWN, ages.values(now_ns), now_ns)

    def labelled(self, ages: boots.Ages, now_ns: int) -> dict[tuple[str, str, str], int]:
        """See labels.counts()."""
        return labels.counts(self._rows, boots.SHOWN, ages.values(now_ns))

    def windows(self, now_ns: int, over: bool = False) -> list[dict[str, Any]]:
        """See maintenance.windows()."""
        return windows.windows(self._rows, now_ns, over)

    def window(self, number: int, now_ns: int) -> dict[str, Any]:
        """See maintenance.window()."""
        return windows.window(self._rows, number, now_ns)

    def ran(self, asked: fleet.Asked, now_ns: int) -> list[dict[str, Any]]:
        """See fleet.ran()."""
        return fleet.ran(self._rows, asked, now_ns)

    def heard(self, after: int, most: int) -> tuple[int, list[dict[str, Any]]]:
        """See fleet.heard()."""
        return fleet.heard(self._rows, after, most)

    def told(self, asked: fleet.Asked) -> dict[str, Any]:
        """See traits.told()."""
        return traits.told(self._rows, asked, self._engine.sealed)

    def label_names(self) -> list[str]:
        """See labels.names()."""
        return labels.names(self._rows)

    def boots_of(self, host: str, ages: boots.Ages, now_ns: int) -> list[dict[str, Any]]:
        """See fleet.boots_of()."""
        return fleet.boots_of(self._rows, host, ages, now_ns)

    def burning(self, ages: boots.Ages, now_ns: int) -> dict[str, int]:
        """See glance.burning()."""
        return glance.burning(self._rows, ages, now_ns)

    def new(self, signatures: Sequence[str], now_ns: int) -> set[str]:
        """See glance.new()."""
        return glance.new(self._rows, signatures, now_ns)

    def firsts(self, signatures: Sequence[str]) -> dict[str, int]:
        """See glance.firsts()."""
        return glance.firsts(self._rows, signatures)

    def states_of(self, hosts: Sequence[str], ages: boots.Ages, now_ns: int) -> dict[str, str]:
        """See glance.states()."""
        return glance.states(self._rows, hosts, ages, now_ns)

    def cursor(self) -> int:
        """Return the ``changed`` of the newest change."""
        return int(next(self._rows(changes.NEWEST, []))[0])

    def data_version(self) -> int:
        """Return a number that differs if another process has committed since the last call."""
        return self._engine.version()

    def find(self, prefix: str) -> Entry:
        """Return the one record whose id starts with ``prefix``. Raises ReceiverError if there is
        none or several."""
        # "g" sorts after every hexadecimal digit.
        where, order = "id >= ?1 AND id < ?2", "ORDER BY id LIMIT 6"
        sources = [keys.either(where, order)]
        if self._engine.greets:
            sources.append(f"{greetings.AS_RECORDS} WHERE {where}")
        wanted, found = prefix.lower(), list[Entry]()
        for source in sources:
            sql = f"SELECT {self._engine.summary} FROM {source} {order}"
            rows = self._rows(sql, [wanted, wanted + "g"]) if wanted else ()
            found += [self._engine.entry(row) for row in rows]
        if not found:
            raise NotFoundError(
                f"no record has an id that starts with {prefix!r}; "
                "`panicast-receiver list --all` shows them all"
            )
        if len(found) > 1:
            ids = ", ".join(entry.summary["id"] for entry in found[:5]) + (", …" if len(found) > 5 else "")
            raise NotFoundError(f"{prefix!r} matches several records: {ids}; give more of the id")
        return found[0]

    def by_identity(self, identity: bytes) -> Entry | None:
        """Return a record, but not a hello or bye; None if there is none."""
        sql = f"SELECT {self._engine.summary} FROM records WHERE {keys.IN_BOTH} AND identity = ?"
        return next((self._engine.entry(row) for row in self._rows(sql, [identity])), None)

    def has_complete(self, identity: bytes) -> bool:
        """Tell whether a record is stored complete."""
        sql = f"SELECT 1 FROM records WHERE {keys.IN_BOTH} AND identity = ? AND complete"
        return next(self._rows(sql, [identity]), None) is not None

    def load(self, entry: Entry) -> Record:
        """Return the whole record, text included."""
        for sql in self._engine.whole:
            for row in self._rows(sql, [entry.number, entry.identity]):
                return self._engine.record(row)
        raise NotFoundError(f"record {entry.summary['id']} is gone: a newer one of its host replaced it")

    def _chosen(self, choice: Choice, order: str, most: int = ALL, ask: Ask | None = None) -> Iterator[Entry]:
        if labels.are_few(self._rows, choice.terms):
            choice = by_hosts(choice)
        part = f"FROM {choice.source} WHERE {choice.where} ORDER BY {order} LIMIT ?"
        rows = self._rows(f"SELECT {self._engine.summary} {part}", [*choice.values, most], ask)
        yield from map(self._engine.entry, rows)

    def places(self, entry: Entry) -> list[dict[str, Any]]:
        """Return file and line of what a record's crash is about, see places.of()."""
        crash = entry.summary["crash"] or {}
        with self._engine.explained():
            return places.of(self._engine.db, crash.get("kernel", ""), crash.get("code", ()))

    def _choices(self, query: Query, pending: bool = False) -> list[Choice]:
        found = choices(query, self._engine.finder, pending)
        if self._engine.greets:
            return found
        if query.type in STATE_TYPES:
            raise UsageError(
                f"the central store has no records of type {query.type}: it keeps what they say of a host, "
                "which the list of hosts shows"
            )
        return [one for one in found if one.source != greetings.AS_RECORDS]

    def _rows(self, sql: str, values: list[Any], ask: Ask | None = None) -> Iterator[Any]:
        with self._engine.explained():
            yield from (ask or self._engine.db.execute)(sql, values)


def _named(words: Sequence[str]) -> tuple[str, list[Any]]:
    parts, values = ["TRUE"], list[Any]()
    for word in words:
        if (term := search.label_of(word)) is not None:
            has, its_values = labels.having([term], "boots.host")
            parts += has
            values += its_values
            continue
        parts.append("lower(host || ' ' || kernel || ' ' || coalesce(source_ip, '')) LIKE ? ESCAPE '\\'")
        values.append("%" + re.sub(r"([\\%_])", r"\\\1", labels.folded(word)) + "%")
    return " AND ".join(parts), values
