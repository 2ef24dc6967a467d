# SPDX-License-Identifier: GPL-2.0-or-later
"""What people have decided about a group of crashes: its state, and each change with who, when and what.

A group that is resolved opens again by itself when it comes back: on a kernel that should have the
fix, or after the time from which on there should be none. Such a record is a regression.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Union

from ..errors import NotFoundError, UsageError
from ..records.kernels import has_fix, is_release
from ..text import iso_time, parse_ahead, parse_when
from ..wire.v1 import FLAG_SEALED
from .many import Ask, of_many
from .order import check

#: A group without a row is open. moment_ns: until when it is muted, or from when on it is resolved.
#: kernels: those that have the fix, separated by commas. identity: the record that was the regression.
SCHEMA = """
CREATE TABLE group_states (
    signature TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL,
    by TEXT NOT NULL,
    since_ns INTEGER NOT NULL,
    moment_ns INTEGER,
    kernels TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE group_changes (
    number INTEGER PRIMARY KEY,
    signature TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    by TEXT NOT NULL,
    via TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    note TEXT NOT NULL,
    identity BLOB
);
CREATE INDEX changes_by_group ON group_changes (signature, number);
CREATE INDEX sealed_by_group ON records (signature) WHERE flags & 1;
CREATE INDEX regressions ON group_changes (identity) WHERE identity IS NOT NULL;
"""
#: What is known of a change, beside its number.
CHANGE = "signature, at_ns, by, via, action, detail, note, identity"
_NONE = type(None)
#: The kinds of its values, and of those of a state.
_OF_CHANGE = ((str,), (int,), (str,), (str,), (str,), (str,), (str,), (bytes, _NONE))
_OF_STATE = ((str,), (str,), (str,), (int,), (int, _NONE), (str,))
#: The most urgent first.
STATES = ("regressed", "open", "acknowledged", "muted", "resolved")
#: The state of a group in SQL, where there is a column ``signature``; and whether a record opened it again.
SHOWN = """coalesce((SELECT CASE WHEN state = 'muted' AND moment_ns <= 1000000000 * strftime('%s', 'now')
    THEN 'open' ELSE state END FROM group_states WHERE group_states.signature = {}.signature), 'open')"""
IS_REGRESSION = (
    "EXISTS (SELECT 1 FROM group_changes WHERE group_changes.identity = records.identity "
    "AND group_changes.identity IS NOT NULL)"
)
#: By an index of its own: of what is not sealed there may be very much.
_SEALED = f"SELECT 1 FROM records INDEXED BY sealed_by_group WHERE signature = ? AND flags & {FLAG_SEALED}"
Row = Union[Mapping[str, Any], sqlite3.Row]
#: Characters of what people write.
LONGEST = {"by": 64, "detail": 200, "note": 2000}
#: Changes that people make within a day, of all groups and of one: more are a program's, or made with a token
#: that others have. And how many are kept, the newest.
_MOST_A_DAY, _MOST_OF_ONE, _MOST_KEPT = 1000, 100, 50_000
_DAY_NS = 86_400 * 1_000_000_000
#: Changes and hosts that are shown of a group.
_MOST_CHANGES, _MOST_HOSTS = 200, 100
#: Digits of a signature.
SIGNATURE = 12


class Fixed(NamedTuple):
    """What a state is about: a time, or kernels."""

    moment_ns: int | None = None
    kernels: str = ""


class Action(NamedTuple):
    """What may be done to a group. ``state`` is what it becomes, None: it stays as it is.
    ``parse`` reads the detail and raises ValueError with a sentence; ``detail`` says what that is."""

    text: str
    state: str | None
    parse: Callable[[str], Fixed]
    detail: str = ""
    needs_note: bool = False


class Order(NamedTuple):
    """A change that somebody asks for. ``via``: the command, the page or the API."""

    signature: str
    action: str
    detail: str
    note: str
    by: str
    via: str

    @property
    def line(self) -> str:
        """Return it in one line, for the log."""
        return f"group {self.signature}: {self.action} {self.detail} by {self.by}"


def _nothing(detail: str) -> Fixed:
    if detail:
        raise ValueError(f"{detail!r} is too much; write what you have to say as a note")
    return Fixed()


def _until(detail: str) -> Fixed:
    moment_ns = parse_ahead(detail)
    if moment_ns <= time.time_ns():
        raise ValueError(f"{detail!r} is over already")
    return Fixed(moment_ns)


def _fixed(detail: str) -> Fixed:
    names = [name for name in re.split(r"[\s,]+", detail) if name]
    if names and all(map(is_release, names)):
        return Fixed(kernels=",".join(names))
    if names and not re.match(r"\d{4}-|\d+[smhdw]$", detail):
        raise ValueError(f"{detail!r} is neither a kernel such as 6.12.118 nor a time such as 2026-11-23")
    return Fixed(parse_when(detail) if names else time.time_ns())


def _link(detail: str) -> Fixed:
    if not re.fullmatch(r"https?://[^\s/]\S*", detail):
        raise ValueError(f"{detail!r} is not an http or https address")
    return Fixed()


ACTIONS: Mapping[str, Action] = {
    "acknowledge": Action("somebody looks after it", "acknowledged", _nothing),
    "mute": Action("no alert until then", "muted", _until, "7d, or 2026-12-24T08:00 (UTC)"),
    "resolve": Action(
        "it opens again if it comes back",
        "resolved",
        _fixed,
        "the kernels with the fix, such as 6.12.118,6.1.140; or a time from which on; empty: now",
    ),
    "reopen": Action("nobody looks after it", "open", _nothing),
    "note": Action("add a note", None, _nothing, needs_note=True),
    "link": Action("add a link", None, _link, "an address, such as a ticket's"),
}


def checked(order: Order) -> Order:
    """Return an order without spaces around what it says. Raises UsageError if it is wrong."""
    order = Order(*(part.strip() for part in order))
    check(order, ACTIONS, LONGEST, "this group")
    if ACTIONS[order.action].needs_note and not order.note:
        raise UsageError("the note is empty; write one")
    _meant(order)
    return order


def _meant(order: Order) -> Fixed:
    try:
        return ACTIONS[order.action].parse(order.detail)
    except ValueError as error:
        raise UsageError(f"{order.action}: {error}") from None


def change(db: sqlite3.Connection, order: Order, now_ns: int | None = None) -> None:
    """Do what was asked for at ``now_ns`` (None: now), within the caller's transaction. Raises
    UsageError and NotFoundError."""
    order, now_ns = checked(order), time.time_ns() if now_ns is None else now_ns
    found = db.execute("SELECT last_ns FROM groups WHERE signature = ?", (order.signature,)).fetchone()
    if not found and not is_known(db, order.signature):
        raise NotFoundError(f"there is no group {order.signature!r}; `panicast-receiver groups` lists them")
    _check_number(db, order.signature, now_ns)
    meant, state = _meant(order), ACTIONS[order.action].state
    if state == "resolved" and found and (meant.moment_ns or now_ns) < found[0]:
        raise UsageError(f"resolve: it was seen after that, at {iso_time(found[0])}; name a later time")
    if state:
        _set(db, order.signature, state, order.by, now_ns, meant)
    _note(db, order, now_ns)


def _check_number(db: sqlite3.Connection, signature: str, now_ns: int) -> None:
    """Raise UsageError if people have made as many changes as one can within a day."""
    sql = (
        "SELECT at_ns FROM group_changes WHERE action != 'regressed' AND {} ORDER BY number DESC "
        "LIMIT 1 OFFSET ?"
    )
    for which, value, most in (("signature = ?", signature, _MOST_OF_ONE), ("number > ?", 0, _MOST_A_DAY)):
        row = db.execute(sql.format(which), (value, most - 1)).fetchone()
        if row and 0 <= now_ns - row[0] < _DAY_NS:
            raise UsageError(
                f"there were {most} changes of {'this group' if most == _MOST_OF_ONE else 'groups'} within a "
                "day: there may be no more until tomorrow. If nobody made them, find out who has a token"
            )


def is_known(db: sqlite3.Connection, signature: str) -> bool:
    """Tell whether anybody has decided about a group, of which the records may be deleted."""
    sql = "SELECT 1 FROM group_changes WHERE signature = ? LIMIT 1"
    return db.execute(sql, (signature,)).fetchone() is not None


def seen(db: Any, row: Row, seals: bool = False) -> str:
    """Open a group again if this record, which belongs to it from now on, should not exist; within the
    caller's transaction. Return a sentence for the log; "" if nothing has changed.

    ``seals`` says that the fleet seals: then what anybody could have sent opens no group of sealed crashes.
    """
    signature = row["signature"]
    state = db.execute(
        "SELECT by, since_ns, moment_ns, kernels FROM group_states "
        "WHERE signature = ? AND state = 'resolved'",
        (signature,),
    ).fetchone()
    if state is None or row["doubted"]:
        return ""
    by, since_ns, moment_ns, kernels = state
    # What had come before is what was resolved.
    back = row["received_ns"] > max(since_ns, moment_ns or 0)
    if not back or (kernels and not has_fix(row["kernel"] or "", kernels.split(","))):
        return ""
    anybodys = not row["flags"] & FLAG_SEALED and row["format"] != "pstore" if seals else False
    if anybodys and db.execute(_SEALED, (signature,)).fetchone():
        return ""
    _set(db, signature, "regressed", "", time.time_ns(), Fixed())
    where = f"on {row['host']}" + (f" with kernel {row['kernel']}" if row["kernel"] else "")
    was = f"in {kernels}" if kernels else f"at {(iso_time(moment_ns) or '')[:19]}"
    order = Order(signature, "regressed", where, f"it was resolved {was} by {by}", "", "receiver")
    _note(db, order, time.time_ns(), row["identity"])
    return f"crash {signature} is back {where}, a regression ({order.note}): {row['title']}"


class Decided(NamedTuple):
    """What another database says of groups: rows of ``group_states``, and of ``group_changes`` without
    their numbers, the oldest first."""

    states: list[tuple[Any, ...]]
    changes: list[tuple[Any, ...]]


def bring(db: sqlite3.Connection, decided: Decided) -> int:
    """Take over what another database says of groups of which nobody has decided anything here, within
    the caller's transaction; return of how many."""
    changes = [row for row in decided.changes if _fits(row, _OF_CHANGE) and not is_known(db, row[0])]
    new = {row[0] for row in changes}
    states = [row for row in decided.states if _fits(row, _OF_STATE) and row[0] in new and row[1] in STATES]
    marks = ", ".join("?" * len(_OF_STATE))
    db.executemany(f"INSERT OR IGNORE INTO group_states VALUES ({marks})", states)
    marks = ", ".join("?" * len(_OF_CHANGE))
    db.executemany(f"INSERT INTO group_changes ({CHANGE}) VALUES ({marks})", changes)
    return len(new)


def _fits(row: Sequence[Any], kinds: Sequence[tuple[type, ...]]) -> bool:
    """Tell whether a row has values of these kinds, of lengths that people may write."""
    return len(row) == len(kinds) and all(
        isinstance(value, kind) and (not isinstance(value, str) or len(value) <= LONGEST["note"])
        for value, kind in zip(row, kinds)
    )


def follow(db: sqlite3.Connection, old: str, new: str) -> None:
    """When a crash gets another name, let its new group take over the decisions about the old one
    and the alerts that were sent about it, within the caller's transaction; unless somebody has
    decided about the new group."""
    if not old or not new or old == new:
        return
    columns = CHANGE.partition(", ")[2]
    if not is_known(db, new) and is_known(db, old):
        db.execute(
            "INSERT OR IGNORE INTO group_states SELECT ?, state, by, since_ns, moment_ns, kernels "
            "FROM group_states WHERE signature = ?",
            (new, old),
        )
        db.execute(
            f"INSERT INTO group_changes ({CHANGE}) SELECT ?, {columns} FROM group_changes "
            "WHERE signature = ? ORDER BY number",
            (new, old),
        )
    db.execute(
        f"INSERT OR IGNORE INTO told SELECT kind, ? || substr(about, {SIGNATURE + 1}), value, at_ns "
        "FROM told WHERE kind IN ('group', 'sealed', 'kernel', 'sealed kernel', 'held') "
        "AND about >= ? AND about < ?",
        (new, old, old + "!"),
    )


def leave_empty(db: sqlite3.Connection, signature: str) -> None:
    """Forget what was decided about a group that has no record any more because all have another name."""
    if db.execute("SELECT 1 FROM groups WHERE signature = ?", (signature,)).fetchone():
        return
    for table in ("group_states", "group_changes"):
        db.execute(f"DELETE FROM {table} WHERE signature = ?", (signature,))


def _set(db: sqlite3.Connection, signature: str, state: str, by: str, now_ns: int, meant: Fixed) -> None:
    db.execute(
        "INSERT INTO group_states VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (signature) DO UPDATE SET "
        "state = excluded.state, by = excluded.by, since_ns = excluded.since_ns, "
        "moment_ns = excluded.moment_ns, kernels = excluded.kernels",
        (signature, state, by, now_ns, *meant),
    )


def _note(db: sqlite3.Connection, order: Order, now_ns: int, identity: bytes | None = None) -> None:
    db.execute(
        f"INSERT INTO group_changes ({CHANGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (order.signature, now_ns, order.by, order.via, order.action, order.detail, order.note, identity),
    )
    db.execute(
        "DELETE FROM group_changes WHERE number <= (SELECT max(number) FROM group_changes) - ?", (_MOST_KEPT,)
    )


def full(db: sqlite3.Connection, prefix: str) -> str:
    """Return the signature that begins so. Raises NotFoundError if there is none, or several."""
    wanted = prefix.lower()
    ends = (wanted, wanted + "g")
    sql = (
        "SELECT signature FROM groups WHERE signature >= ? AND signature < ? "
        "UNION SELECT signature FROM group_states WHERE signature >= ? AND signature < ? LIMIT 6"
    )
    found = [row[0] for row in db.execute(sql, (*ends, *ends))] if wanted else []
    if not found:
        raise NotFoundError(
            f"no group has a signature that starts with {prefix!r}; `panicast-receiver groups` lists them"
        )
    if len(found) > 1:
        raise NotFoundError(f"{prefix!r} matches several groups: {', '.join(found)}; give more of it")
    return str(found[0])


def statuses(ask: Ask, signatures: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the states of groups as others see them."""
    sql = (
        f"SELECT signature, {SHOWN.format('one')}, by, since_ns, moment_ns, kernels "
        "FROM group_states AS one WHERE signature IN ({})"
    )
    known = {row[0]: tuple(row)[1:] for row in of_many(ask, sql, signatures)}
    return {name: _status(*known.get(name, ("open", "", None, None, ""))) for name in signatures}


def _status(state: str, by: str, since_ns: int | None, moment_ns: int | None, kernels: str) -> dict[str, Any]:
    return {
        "state": state,
        "by": by,
        "since": iso_time(since_ns),
        "until": iso_time(moment_ns) if state == "muted" else None,
        "after": iso_time(moment_ns) if state == "resolved" else None,
        "kernels": kernels.split(",") if kernels and state == "resolved" else [],
    }


def story(db: sqlite3.Connection, signature: str) -> dict[str, Any]:
    """Return what was decided about a group, newest first, and where it was seen: the hosts with the
    most records, all kernels, the ids of the first and the last record."""
    changes = db.execute(
        "SELECT at_ns, by, via, action, detail, note, identity FROM group_changes WHERE signature = ? "
        "ORDER BY number DESC LIMIT ?",
        (signature, _MOST_CHANGES),
    )
    hosts = db.execute(
        "SELECT host, records FROM group_hosts WHERE signature = ? ORDER BY records DESC, host LIMIT ?",
        (signature, _MOST_HOSTS),
    )
    kernels = db.execute(
        "SELECT kernel, sum(records) FROM group_names WHERE signature = ? AND kernel != '' GROUP BY kernel",
        (signature,),
    )
    end = "SELECT id FROM records WHERE signature = ? ORDER BY number {} LIMIT 1"
    ends = [db.execute(end.format(way), (signature,)).fetchone() for way in ("ASC", "DESC")]
    return {
        "changes": [
            {**dict(zip(("by", "via", "action", "detail", "note"), row[1:6])), "at": iso_time(row[0])}
            for row in map(tuple, changes)
        ],
        "by_host": [{"host": row[0], "records": row[1]} for row in hosts],
        "by_kernel": [{"kernel": row[0], "records": row[1]} for row in kernels],
        "first_record": ends[0][0] if ends[0] else None,
        "last_record": ends[1][0] if ends[1] else None,
    }
