# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a thread for each target of alerts: it sends urgent alerts at once, and the rest in a
digest.

Alerts that wait for a target are sent together: one message for each group or host, or one message
for all if they are many. So a target gets few messages, even if it was away or 10,000 servers panic
at once.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Callable

from ..db import schema
from ..db.boots import Ages
from ..db.writing import transaction
from ..log import logger
from ..sinks import Refused
from ..sinks.feeder import LONGEST_WISH_S
from ..sinks.webhook import post
from ..text import escape, iso_time, shorten
from ..threads import name_thread
from . import decide, rules
from .formats import FORMATS, Secrets, Told
from .rules import KINDS, Rules, Target

#: Seconds between looks; for which more is waited for, so that one message says how many there are; and
#: between tries, at most.
LOOK_S, GATHER_S, LONGEST_S = 1.0, 3.0, 300.0
#: After so many messages within so many seconds, more is gathered for longer: somebody may make crashes up.
BUSY, BUSY_S, GATHER_BUSY_S = 10, 600.0, 60.0
#: More than so many groups and hosts at once are told in one message.
MANY = 4
#: Seconds between looks for silent hosts.
SILENT_S = 30.0
#: Seconds that sendmail may take; alerts that a message names, and that are read at a time.
_SENDMAIL_S, _MOST, _AT_A_TIME = 30.0, 20, 10_000
_NS = 1_000_000_000
Alert = dict[str, Any]


class Couriers:
    """The threads that tell, and the sink that decides what there is to tell; by rules that a reload
    may change."""

    def __init__(self, alerts: decide.Alerts, state_dir: Path, usable: Callable[[], bool]) -> None:
        self._alerts, self._state_dir, self._usable = alerts, state_dir, usable
        self._end: Callable[[], None] = lambda: None

    def follow(self, told: Rules, ages: Ages) -> None:
        """Tell by these rules from now on."""
        self.end()
        self._alerts.rules = told
        self._end = begin(told, self._state_dir, ages, self._usable)

    def end(self) -> None:
        """Begin to tell nothing more."""
        self._end()


def begin(
    told: Rules, state_dir: Path, ages: Ages, usable: Callable[[], bool] = lambda: True
) -> Callable[[], None]:
    """Start a thread for each target, and one that looks for silent hosts; return what ends them."""
    stopping = threading.Event()
    works = [(one.name, _Courier(one, state_dir).look, LOOK_S) for one in told.target]
    works.append(("silent", lambda: decide.look_for_silent(told, state_dir, ages), SILENT_S))
    for name, work, pause_s in works:
        threading.Thread(
            target=_run, args=(f"alert {name}", work, pause_s, stopping, usable), daemon=True
        ).start()
    return stopping.set


def _run(
    name: str,
    work: Callable[[], None],
    pause_s: float,
    stopping: threading.Event,
    usable: Callable[[], bool],
) -> None:
    """Do this again and again; less and less often while it fails."""
    name_thread(name)
    pause, complaint = pause_s, ""
    while not stopping.wait(pause):
        if not usable():
            continue
        try:
            work()
            if complaint:
                logger.warning("%s: works again", name)
            pause, complaint = pause_s, ""
        # Whatever a library may raise: a thread that ended by itself would never tell again.
        except Exception as error:
            if str(error) != complaint:
                logger.warning("%s: %s; trying again until it works", name, escape(str(error)))
            complaint = str(error)
            wish = min(LONGEST_WISH_S, getattr(error, "retry_s", 0.0))
            pause = max(wish, min(LONGEST_S, 2 * pause))


class _Courier:
    """One target, and what waits for it."""

    def __init__(self, target: Target, state_dir: Path) -> None:
        self._target = target
        self._path = state_dir / schema.FILE_NAME
        self._sent: deque[float] = deque(maxlen=BUSY)

    def look(self) -> None:
        """Tell what there is to tell now. Raises what went wrong."""
        now_ns = time.time_ns()
        with closing(schema.open_writer(self._path)) as db:
            number, digest, digest_ns = _place(db, self._target.name, now_ns)
            waiting = _after(db, self._beyond_gap(db, "number", number))
            wanted = [alert for alert in waiting if self._at_once(alert)]
            gathered = not wanted or _is_over(wanted[0]["at_ns"], self._gather_s(), now_ns)
            if waiting and gathered:
                for alert in together(wanted):
                    send(self._target, alert)
                    self._sent.append(time.monotonic())
                _move(db, self._target.name, "number", waiting[-1]["number"])
            hours = self._target.digest_hours
            if hours and _is_over(digest_ns, hours * 3600, now_ns):
                some = _after(db, self._beyond_gap(db, "digest", digest))
                rest = [a for a in some if not self._at_once(a) and self._target.wants(a)]
                if rest:
                    send(self._target, summary(sorted(rest, key=_turn), f"in the last {hours:g} hours"))
                if some:
                    _move(db, self._target.name, "digest", some[-1]["number"])
                # Of more than that another digest comes at once.
                if len(some) < _AT_A_TIME:
                    _move(db, self._target.name, "digest_ns", now_ns)

    def _beyond_gap(self, db: sqlite3.Connection, column: str, number: int) -> int:
        """Return from where on a target hears of alerts: after the last one that it heard of, or that was
        deleted."""
        (first,) = db.execute("SELECT min(number) FROM alerts").fetchone()
        lost = first - 1 - number if first else 0
        if lost <= 0:
            return number
        logger.warning(
            "alert %s: %d alerts were deleted before it was sent them%s: it was away, or somebody makes "
            "crashes up; `panicast-receiver groups` lists the crashes",
            *(self._target.name, lost, " in a digest" if column == "digest" else ""),
        )
        _move(db, self._target.name, column, first - 1)
        return int(first) - 1

    def _gather_s(self) -> float:
        many = len(self._sent) == BUSY and time.monotonic() < self._sent[0] + BUSY_S
        return GATHER_BUSY_S if many else GATHER_S

    def _at_once(self, alert: Alert) -> bool:
        wanted = alert["kind"] in self._target.on and self._target.wants(alert)
        return wanted and not decide.is_quiet(alert)


def _is_over(since_ns: int, seconds: float, now_ns: int) -> bool:
    """Tell whether so much time has passed. A clock that was wrong must not hold back what comes: what is
    from later than now has waited long enough."""
    return not 0 <= now_ns - since_ns <= seconds * _NS


def together(alerts: Sequence[Alert]) -> list[Alert]:
    """Return what is sent for these: the most urgent of each group or host, as it is now; of many
    groups one message for all of them."""
    order = list(KINDS)
    of_each: dict[str, Alert] = {}
    for alert in alerts:
        before = of_each.get(alert["about"], alert)
        kind = min(before["kind"], alert["kind"], key=order.index)
        newer = {**alert, "kind": kind, "sealed": _is_sure(before) or _is_sure(alert)}
        of_each[alert["about"]] = {**newer, "line": decide.line(newer)}
    found = sorted(of_each.values(), key=_turn)
    # Apart, so that who makes crashes up hides no other among them.
    sure, others = ([one for one in found if _is_sure(one) == wanted] for wanted in (True, False))
    return [
        one for some in (sure, others) for one in (some if len(some) <= MANY else [summary(some, "at once")])
    ]


def _is_sure(alert: Alert) -> bool:
    """Tell whether nobody can have made up what it is about."""
    return bool(alert.get("sealed"))


def _turn(alert: Alert) -> tuple[bool, int]:
    """Return what alerts are sorted by: of many, only the first few are named."""
    return not _is_sure(alert), list(KINDS).index(alert["kind"])


def summary(alerts: Sequence[Alert], when: str) -> Alert:
    """Return one alert that stands for many."""
    counts = Counter(alert["kind"] for alert in alerts)
    said = ", ".join(f"{counts[kind]} x {text}" for kind, text in KINDS.items() if counts[kind])
    severities = [one for one in rules.SEVERITIES if any(alert["severity"] == one for alert in alerts)]
    worst = next(alert for alert in alerts if alert["severity"] == severities[0])
    more = [alert["line"] for alert in alerts[:_MOST]]
    return {
        **worst,
        "about": "many sealed" if all(map(_is_sure, alerts)) else "many",
        **dict.fromkeys(("signature", "host", "kernel"), ""),
        "labels": {},
        "line": shorten(f"{len(alerts)} alerts {when}: {said}; such as {worst['line']}", 700),
        "more": more + [f"… and {len(alerts) - _MOST} more"] * (len(alerts) > _MOST),
    }


def made_up(kind: str = "first") -> Alert:
    """Return an alert that says that it is a test."""
    alert = {
        "kind": kind,
        "about": "alert-test",
        "severity": "info",
        "sealed": False,
        "type": "panic",
        "title": "this is a test of panicast's alerts",
        "signature": "0" * 12,
        "host": "alert-test",
        "labels": {},
        "kernel": "6.12.118",
        "records": 1,
        "hosts": 1,
        "state": "open",
        "record": "0" * 12,
        "at": iso_time(time.time_ns()),
    }
    return {**alert, "line": decide.line(alert)}


def made(target: Target, alert: Mapping[str, Any]) -> Told:
    """Return what a target is sent. Raises ReceiverError."""
    secrets = Secrets(rules.secret(target, "url_file") or target.url, rules.secret(target, "key_file"))
    return FORMATS[target.format](alert, target, secrets)


def send(target: Target, alert: Mapping[str, Any], refusals: bool = False) -> None:
    """Send an alert to a target. What it will never accept is logged, or with ``refusals`` an error,
    too. Raises OSError."""
    told = made(target, alert)
    try:
        if told.url:
            post(told.url, told.body, told.headers)
        else:
            _sendmail(target, told.body)
    except Refused as error:
        if refusals:
            raise OSError(str(error)) from error
        logger.error("alert %s is refused: %s", target.name, escape(str(error)))


def _sendmail(target: Target, mail: bytes) -> None:
    try:
        done = subprocess.run(
            [target.sendmail, "-i", "-t"],
            input=mail,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_SENDMAIL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{target.sendmail} did not end within {_SENDMAIL_S:g} seconds") from None
    if done.returncode:
        words = done.stderr[-200:].decode(errors="replace").strip()
        raise OSError(f"{target.sendmail} ended with {done.returncode}: {words}")


def _place(db: sqlite3.Connection, target: str, now_ns: int) -> tuple[int, int, int]:
    """Return how far a target is; a new one begins with the next alert."""
    sql = "SELECT number, digest, digest_ns FROM target_alerts WHERE target = ?"
    row = db.execute(sql, (target,)).fetchone()
    if row is None:
        with transaction(db):
            db.execute(
                "INSERT INTO target_alerts SELECT ?, coalesce(max(number), 0), coalesce(max(number), 0), ? "
                "FROM alerts WHERE at_ns < ?",
                (target, now_ns, now_ns - int(60 * _NS)),
            )
        row = db.execute(sql, (target,)).fetchone()
    return row[0], row[1], row[2]


def _after(db: sqlite3.Connection, number: int) -> list[Alert]:
    sql = "SELECT number, at_ns, document FROM alerts WHERE number > ? ORDER BY number LIMIT ?"
    found = db.execute(sql, (number, _AT_A_TIME))
    return [{**json.loads(row[2]), "number": row[0], "at_ns": row[1]} for row in found]


def _move(db: sqlite3.Connection, target: str, column: str, value: int) -> None:
    with transaction(db):
        db.execute(f"UPDATE target_alerts SET {column} = ? WHERE target = ?", (value, target))
