# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides which alerts there are: about records as they come, and about silent hosts.

It is a sink like the others, so it misses no record. It writes its decisions into the database. In
the same transaction it notes which groups, kernels and hosts are known now. So each is reported
once, however often a record comes.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from ..db import groups, keys, maintenance, numbers, schema
from ..db.boots import Ages
from ..db.reader import Reader
from ..db.writing import transaction
from ..sinks import Notice
from ..sinks.webhook import ALERT_SEVERITIES
from ..text import escape, iso_time, shorten
from .rules import KINDS, Rules

_NS = 1_000_000_000
_HOUR_NS = 3600 * _NS
#: Days for which alerts are kept (db/alerts.py says how many). Bytes of a name that is remembered or told,
#: and of the line that says it all.
_KEPT_DAYS, _LONGEST, _LONGEST_LINE = 30, 255, 700
#: Silent hosts that an alert names.
_NAMED = 3
#: About a state: somebody looks after it, and hears of what gets worse in the digest.
_QUIET = ("acknowledged", "resolved")


class Alerts:
    """The sink. Raises sqlite3.Error."""

    def __init__(self, rules: Rules, state_dir: Path) -> None:
        self.name = "alerts"
        self.most = 256
        #: A reload may change them.
        self.rules = rules
        self._pruned_ns = 0
        self._path = state_dir / schema.FILE_NAME

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        now_ns = time.time_ns()
        with closing(schema.open_writer(self._path)) as db, transaction(db):
            begin(db, now_ns)
            for notice in batch:
                for alert in self._of_record(db, notice.record, now_ns):
                    _write(db, alert, now_ns)
            if not 0 <= now_ns - self._pruned_ns < _HOUR_NS:
                prune(db, now_ns)
                self._pruned_ns = now_ns

    def _of_record(
        self, db: sqlite3.Connection, record: Mapping[str, Any], now_ns: int
    ) -> list[dict[str, Any]]:
        signature = record["signature"]
        # What is not believed wakes nobody; what was kept of a crash that was heard was told of.
        if not signature or record["doubted"] or (record["kept"] and record["same_crash"]):
            return []
        group = db.execute("SELECT records, hosts FROM groups WHERE signature = ?", (signature,)).fetchone()
        if group is None:
            return []
        records, hosts = group
        facts = {**_facts(record), "records": records, "hosts": hosts}
        if record["maintenance"]:
            return self._planned(db, record, facts, now_ns)
        found = []
        kernel, level = facts["kernel"], _level(records)
        known, held = _told(db, "group", signature), _told(db, "held", signature)
        # Whoever makes up a crash, or its kernel, before it comes must not keep the real one from being news.
        which = ("kernel", "sealed kernel") if record["sealed"] else ("kernel",)
        about = f"{signature} {kernel}"[:_LONGEST]
        new_kernel = bool(kernel) and any([_once(db, kind, about, now_ns) for kind in which])
        seals, sealed_before = 0, (_told(db, "sealed", signature) or (0, 0))[0]
        if record["sealed"]:
            seals = sealed_before + 1
            _remember(db, "sealed", signature, seals, now_ns)
        new_sealed = seals == 1
        # Of all records there may be so many that are made up that ten times as many never come.
        more_sealed = _level(seals) > _level(sealed_before) and level > _level(seals)
        if held or (record["regression"] and _once(db, "regression", record["identity"], now_ns)):
            db.execute("DELETE FROM told WHERE kind = 'held' AND about = ?", (signature,))
            found.append("regression")
        elif known is None or new_sealed:
            found.append("first")
        elif new_kernel:
            found.append("kernel")
        elif level > known[0] or more_sealed:
            found.append("tenfold")
        if known is None or level > known[0]:
            _remember(db, "group", signature, level, now_ns)
        if self._again_and_again(db, record["host"], now_ns):
            found.append("host")
        return [
            {**facts, "kind": kind, "about": facts["host"] if kind == "host" else signature}
            for kind in found
            if record["group_state"] != "muted"
        ]

    def _planned(
        self, db: sqlite3.Connection, record: Mapping[str, Any], facts: dict[str, Any], now_ns: int
    ) -> list[dict[str, Any]]:
        """Return the alert about a crash in a maintenance window: once for each group, for the
        digest. This does not make the group known: its first crash outside a window is reported as
        new."""
        signature = record["signature"]
        if record["regression"]:
            _remember(db, "held", signature, 1, now_ns)
        if not _once(db, "maintenance", f"{signature} {record['maintenance']}", now_ns):
            return []
        return [{**facts, "kind": "maintenance", "about": signature}]

    def _again_and_again(self, db: sqlite3.Connection, host: str, now_ns: int) -> bool:
        rules = self.rules
        window_ns = int(rules.host_hours * _HOUR_NS)
        about = shorten(host, _LONGEST)
        told = _told(db, "host", about)
        # A clock that was wrong may have left a time from later than now.
        if told and 0 <= now_ns - told[1] < window_ns:
            return False
        order = f"ORDER BY number DESC LIMIT {2 * rules.host_crashes + 8}"
        source = keys.either("host = ?1 AND number >= ?2 AND NOT doubted", order)
        # What it did while somebody worked on it says nothing of it.
        planned = maintenance.OF.format(table="records", at="records.received_ns")
        sql = (
            f"SELECT count(DISTINCT coalesce(boot_id, identity)) FROM {source} "
            f"WHERE type = 'panic' AND {planned} IS NULL"
        )
        (crashes,) = db.execute(sql, (host, numbers.since(now_ns - window_ns))).fetchone()
        if crashes < rules.host_crashes:
            return False
        _remember(db, "host", about, crashes, now_ns)
        return True


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an alert says about a record, within bounds."""
    kernel = record["release"] or (record["crash"] or {}).get("kernel", "")
    return {
        "severity": ALERT_SEVERITIES.get(record["type"], "info"),
        "sealed": record["sealed"],
        "type": record["type"],
        "title": shorten(record["title"], _LONGEST),
        "signature": record["signature"],
        "host": shorten(record["host"], _LONGEST),
        "labels": record["labels"],
        "kernel": shorten(kernel, _LONGEST),
        "state": record["group_state"],
        "record": record["id"],
    }


def _level(records: int) -> int:
    """Return how often a number was tenfold."""
    return len(str(records)) - 1


def begin(db: sqlite3.Connection, now_ns: int) -> None:
    """Count all earlier crashes as reported, the first time that this runs."""
    if not _once(db, "begun", "", now_ns):
        return
    # What came in the last minutes is what the first records are about.
    before = (now_ns, now_ns - 600 * _NS)
    db.execute(
        "INSERT OR IGNORE INTO told SELECT 'group', signature, length(records) - 1, ? FROM groups "
        "WHERE first_ns < ?",
        before,
    )
    db.execute("INSERT OR IGNORE INTO told SELECT 'sealed', about, 1, at_ns FROM told WHERE kind = 'group'")
    db.execute(
        "INSERT OR IGNORE INTO told SELECT 'kernel', substr(signature || ' ' || kernel, 1, 255), 1, ? "
        "FROM group_names JOIN groups USING (signature) WHERE kernel != '' AND first_ns < ?",
        before,
    )
    db.execute(
        "INSERT OR IGNORE INTO told SELECT 'sealed kernel', about, 1, at_ns FROM told WHERE kind = 'kernel'"
    )


def prune(db: sqlite3.Connection, now_ns: int) -> None:
    """Forget old alerts, and what was reported about groups, kernels and hosts that are gone: if a
    crash comes back after its last record was deleted, it counts as new."""
    before_ns = now_ns - _KEPT_DAYS * 24 * _HOUR_NS
    db.execute("DELETE FROM alerts WHERE at_ns < ?", (before_ns,))
    db.execute(
        "DELETE FROM told WHERE at_ns < ? AND (kind IN ('regression', 'host', 'held', 'maintenance') "
        "OR kind IN ('group', 'kernel', 'sealed', 'sealed kernel') "
        f"AND substr(about, 1, {groups.SIGNATURE}) NOT IN (SELECT signature FROM groups))",
        (before_ns,),
    )


class _Silent(NamedTuple):
    """How many hosts are silent, of how many that are heard, and the names of some."""

    hosts: int
    heard: int
    names: Sequence[str]


def look_for_silent(rules: Rules, state_dir: Path, ages: Ages) -> None:
    """Write an alert if many hosts are silent, and again when they are twice as many. Those in a
    maintenance window do not count.

    Those that seal are counted by themselves, too: else many made-up hosts, which soon are silent, would keep
    what happens to the others from being news.
    """
    now_ns = time.time_ns()
    with closing(Reader(state_dir)) as reader:
        everybody, sealing = (_silent(reader, ages, now_ns, sealed) for sealed in (False, True))
    with closing(schema.open_writer(state_dir / schema.FILE_NAME)) as db, transaction(db):
        news = _many_silent(db, "", everybody.hosts, rules, now_ns)
        if _many_silent(db, "sealed", sealing.hosts, rules, now_ns) and not news:
            _write(db, _of_silent(sealing, sealed=True), now_ns)
        elif news:
            _write(db, _of_silent(everybody, sealed=False), now_ns)


def _silent(reader: Reader, ages: Ages, now_ns: int, sealed: bool) -> _Silent:
    states = reader.host_states(ages, now_ns, sealed=sealed)
    heard = sum(count for state, count in states.items() if state != "retired")
    if not states.get("silent"):
        return _Silent(0, heard, ())
    if sealed:
        found = reader.hosts(ages, now_ns, "silent", maintenance=False, sealed=True)
        silent = len(found)
    else:
        found = reader.hosts(ages, now_ns, "silent", limit=_NAMED, maintenance=False)
        silent = states["silent"] - reader.maintained(ages, now_ns).get("silent", 0)
    return _Silent(silent, heard, [one["host"] for one in found[:_NAMED]])


def _many_silent(db: sqlite3.Connection, about: str, silent: int, rules: Rules, now_ns: int) -> bool:
    """Tell whether so many silent hosts are news; from now on they are not."""
    told = _told(db, "silent", about) or (0, 0)
    if silent < max(rules.silent_hosts, 2 * told[0]):
        if told[0] and silent < told[0] // 2:
            _remember(db, "silent", about, 0 if silent < rules.silent_hosts else silent, now_ns)
        return False
    _remember(db, "silent", about, silent, now_ns)
    return True


def _of_silent(silent: _Silent, sealed: bool) -> dict[str, Any]:
    names = ", ".join(silent.names) + (" …" if silent.hosts > len(silent.names) else "")
    which = "hosts that seal" if sealed else "hosts"
    return {
        "kind": "silent",
        "about": "silent",
        "severity": "critical",
        "sealed": sealed,
        "type": "",
        "title": shorten(f"{silent.hosts:,} of {silent.heard:,} {which} are silent: {names}", _LONGEST),
        **dict.fromkeys(("signature", "host", "kernel", "state", "record"), ""),
        "labels": {},
        "records": 0,
        "hosts": silent.hosts,
    }


def line(alert: Mapping[str, Any]) -> str:
    """Return an alert in one line, for people."""
    said = f"{KINDS[alert['kind']]}: {alert['title'] or 'no reason given'}"
    if alert["kind"] == "silent":
        return escape(said)
    if alert["kind"] == "host":
        return escape(f"{alert['host']} crashes again and again: {alert['title']}")
    where = f"{alert['host']}" + (f", kernel {alert['kernel']}" if alert["kernel"] else "")
    records = f"{alert['records']:,} record{'' if alert['records'] == 1 else 's'}"
    hosts = f"{alert['hosts']:,} host{'' if alert['hosts'] == 1 else 's'}"
    return escape(f"{said} ({where}; {records} of {hosts})")


def is_quiet(alert: Mapping[str, Any]) -> bool:
    """Tell whether somebody looks after this already, so that the digest is enough."""
    return alert["state"] in _QUIET and alert["kind"] in ("kernel", "tenfold", "first")


def _write(db: sqlite3.Connection, alert: dict[str, Any], now_ns: int) -> None:
    document = {**alert, "at": iso_time(now_ns), "line": shorten(line(alert), _LONGEST_LINE)}
    # What no UTF-8 can say is in JSON as it is in Python.
    said = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    db.execute("INSERT INTO alerts (at_ns, document) VALUES (?, ?)", (now_ns, said))


def _told(db: sqlite3.Connection, kind: str, about: str) -> tuple[int, int] | None:
    sql = "SELECT value, at_ns FROM told WHERE kind = ? AND about = ?"
    row = db.execute(sql, (kind, about)).fetchone()
    return (row[0], row[1]) if row else None


def _remember(db: sqlite3.Connection, kind: str, about: str, value: int, now_ns: int) -> None:
    db.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)", (kind, about, value, now_ns))


def _once(db: sqlite3.Connection, kind: str, about: str, now_ns: int) -> bool:
    """Tell whether this is new; from now on it is not."""
    sql = "INSERT OR IGNORE INTO told VALUES (?, ?, 1, ?)"
    return db.execute(sql, (kind, about, now_ns)).rowcount > 0
