# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the maintenance windows: when hosts cause no alerts, which hosts, who said so, and why.

A window has names of hosts, in which * and ? stand for other characters, and labels (rack=r12). It
covers every host that one of them fits, even a host that is first heard later. A window that is
over is kept for a while, so that people can see who started and ended it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import NotFoundError, UsageError
from ..records import labels as words_of_labels
from ..text import iso_time, parse_ahead
from . import labels
from .order import check

#: hosts: JSON, as they were written. ended_ns: when somebody ended it early; via: the command, page or API.
#: window_terms: the same for SQLite's GLOB; name: a label's, "" for a host's name.
SCHEMA = """
CREATE TABLE windows (
    number INTEGER PRIMARY KEY NOT NULL,
    hosts TEXT NOT NULL,
    from_ns INTEGER NOT NULL,
    until_ns INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    by TEXT NOT NULL,
    via TEXT NOT NULL,
    note TEXT NOT NULL,
    ended_ns INTEGER,
    ended_by TEXT NOT NULL DEFAULT '',
    ended_via TEXT NOT NULL DEFAULT '',
    ended_note TEXT NOT NULL DEFAULT ''
);
CREATE TABLE window_terms (
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    pattern TEXT NOT NULL,
    PRIMARY KEY (number, name, pattern)
) WITHOUT ROWID;
"""
_FITS = """CASE window_terms.name WHEN '' THEN glob(pattern, lower({table}.host))
    ELSE EXISTS (SELECT 1 FROM labels WHERE labels.host = {table}.host
        AND labels.name = window_terms.name AND glob(pattern, lower(labels.value))) END"""
#: The number of the window in which the host of a row is at a time, the one that lasts longest; in SQL.
OF = f"""(SELECT number FROM windows JOIN window_terms USING (number)
    WHERE from_ns <= {{at}} AND min(until_ns, coalesce(ended_ns, until_ns)) > {{at}} AND {_FITS}
    ORDER BY until_ns DESC LIMIT 1)"""
STATES = ("planned", "now", "over")
ACTIONS: Mapping[str, str] = {"start": "alert nobody of some hosts for a time", "end": "end it early"}
#: Characters of what people write; all hosts of a window.
LONGEST = {"by": 64, "note": 2000, "hosts": 2000, "begin": 64, "until": 64}
#: Windows that are not over, of all that there are; names and labels of one; how long one may last.
_MOST, _MOST_WORDS, _MOST_DAYS = 200, 50, 90
#: How long a window is shown that is over, and how many are.
_KEPT_DAYS, _MOST_SHOWN = 90, 1000
_DAY_NS = 86_400 * 1_000_000_000


class Order(NamedTuple):
    """A change that somebody asks for: to ``start`` a window for ``hosts`` (separated by blanks) from
    ``begin`` ("" is now) until a time, or to ``end`` the one with a number. ``via``: the command, the
    page or the API."""

    action: str
    number: str
    hosts: str
    begin: str
    until: str
    note: str
    by: str
    via: str

    @property
    def line(self) -> str:
        """Return it in one line, for the log."""
        about = f"{self.hosts} until {self.until}" if self.action == "start" else self.number
        return f"maintenance: {self.action} {about} by {self.by}"


class _Span(NamedTuple):
    from_ns: int
    until_ns: int


def checked(order: Order) -> Order:
    """Return an order without spaces around what it says. Raises UsageError if it is wrong."""
    order = Order(*(part.strip() for part in order))
    check(order, ACTIONS, LONGEST, "these hosts")
    if order.action == "start":
        _terms(order.hosts)
        _span(order, time.time_ns())
    elif not (order.number.isascii() and order.number.isdigit() and len(order.number) < 19):
        raise UsageError(f"{order.number!r} is not the number of a window")
    return order


def change(db: sqlite3.Connection, order: Order) -> int:
    """Do what was asked for, within the caller's transaction; return the window's number. Raises
    UsageError and NotFoundError."""
    order, now_ns = checked(order), time.time_ns()
    return _start(db, order, now_ns) if order.action == "start" else _end(db, order, now_ns)


def _start(db: sqlite3.Connection, order: Order, now_ns: int) -> int:
    _prune(db, now_ns)
    (pending,) = db.execute(
        "SELECT count(*) FROM windows WHERE until_ns > ? AND ended_ns IS NULL", (now_ns,)
    ).fetchone()
    if pending >= _MOST:
        raise UsageError(f"there are {_MOST} windows already; end one of them, or name more hosts in one")
    words = order.hosts.split()
    # Nobody else writes meanwhile.
    number = int(db.execute("SELECT coalesce(max(number), 0) + 1 FROM windows").fetchone()[0])
    columns = "number, hosts, from_ns, until_ns, at_ns, by, via, note"
    db.execute(
        f"INSERT INTO windows ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (number, json.dumps(words), *_span(order, now_ns), now_ns, order.by, order.via, order.note),
    )
    rows = [(number, name, pattern) for name, pattern in _terms(order.hosts)]
    db.executemany("INSERT INTO window_terms VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)
    return number


def _end(db: sqlite3.Connection, order: Order, now_ns: int) -> int:
    number = int(order.number)
    row = db.execute("SELECT until_ns, ended_ns FROM windows WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise _missing(number)
    if row[1] is not None or row[0] <= now_ns:
        raise UsageError(f"window {number} is over already")
    db.execute(
        "UPDATE windows SET ended_ns = ?, ended_by = ?, ended_via = ?, ended_note = ? WHERE number = ?",
        (now_ns, order.by, order.via, order.note, number),
    )
    return number


def _missing(number: int) -> NotFoundError:
    return NotFoundError(f"there is no window {number}; `panicast-receiver maintenance list` shows them")


def _prune(db: sqlite3.Connection, now_ns: int) -> None:
    """Forget windows that are over since long, and the oldest of too many."""
    # That which was ended early, too: else who starts and ends them makes very many.
    over = "min(until_ns, coalesce(ended_ns, until_ns))"
    db.execute(
        f"DELETE FROM windows WHERE {over} < ? OR ({over} < ? AND number NOT IN "
        "(SELECT number FROM windows ORDER BY number DESC LIMIT ?))",
        (now_ns - _KEPT_DAYS * _DAY_NS, now_ns, _MOST_SHOWN),
    )
    db.execute("DELETE FROM window_terms WHERE number NOT IN (SELECT number FROM windows)")


def _terms(text: str) -> list[tuple[str, str]]:
    """Return (name of a label or "", pattern) of each word. Raises UsageError."""
    words = text.split()
    if not words:
        raise UsageError("say which hosts: names, patterns such as db-*, or labels such as rack=r12")
    if len(words) > _MOST_WORDS:
        raise UsageError(
            f"{len(words)} names and labels are too many for one window; it may have {_MOST_WORDS}"
        )
    try:
        pairs = [words_of_labels.split(word) if "=" in word else ("", word) for word in words]
    except ValueError as error:
        raise UsageError(str(error)) from None
    return [(name, labels.glob(pattern)) for name, pattern in pairs]


def _span(order: Order, now_ns: int) -> _Span:
    try:
        if not order.until:
            raise ValueError("say until when: 4h, or 2026-12-24T08:00 (UTC)")
        begin = parse_ahead(order.begin) if order.begin else now_ns
        until = parse_ahead(order.until)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if until <= max(begin, now_ns):
        raise UsageError(f"until {order.until!r} is over before it begins; name a later time")
    if until - begin > _MOST_DAYS * _DAY_NS:
        raise UsageError(
            f"a window may last {_MOST_DAYS} days; `panicast-receiver retire` is for hosts that are gone"
        )
    return _Span(begin, until)


def shown(row: sqlite3.Row, now_ns: int) -> dict[str, Any]:
    """Return the object that ``maintenance list --json`` prints of a window."""
    until_ns = min(row["until_ns"], row["until_ns"] if row["ended_ns"] is None else row["ended_ns"])
    state = "over" if until_ns <= now_ns else "planned" if row["from_ns"] > now_ns else "now"
    return {
        "number": row["number"],
        "state": state,
        "hosts": json.loads(row["hosts"]),
        "from": iso_time(row["from_ns"]),
        "until": iso_time(row["until_ns"]),
        "at": iso_time(row["at_ns"]),
        **{name: row[name] for name in ("by", "via", "note")},
        "ended": iso_time(row["ended_ns"]),
        **{name: row[name] for name in ("ended_by", "ended_via", "ended_note")},
    }


def windows(ask: labels.Ask, now_ns: int, over: bool) -> list[dict[str, Any]]:
    """Return the windows, the newest first; those that are over if they are asked for."""
    rows = ask("SELECT * FROM windows ORDER BY number DESC", [])
    found = [shown(row, now_ns) for row in rows]
    return found if over else [one for one in found if one["state"] != "over"]


def window(ask: labels.Ask, number: int, now_ns: int) -> dict[str, Any]:
    """Return one window. Raises NotFoundError."""
    row = next(ask("SELECT * FROM windows WHERE number = ?", [number]), None)
    if row is None:
        raise _missing(number)
    return shown(row, now_ns)


def states(ask: labels.Ask, shown_as: str, values: Sequence[Any], now_ns: int) -> dict[str, int]:
    """Return how many hosts in a window are in each state; ``shown_as`` is the state in SQL."""
    # Mostly there is none, and then no host is looked at.
    if not any(one["state"] == "now" for one in windows(ask, now_ns, over=False)):
        return {}
    sql = (
        f"SELECT {shown_as} AS shown, count(*) AS hosts FROM boots "
        f"WHERE current AND {OF.format(table='boots', at=int(now_ns))} IS NOT NULL GROUP BY shown"
    )
    return {row["shown"]: row["hosts"] for row in ask(sql, list(values))}
