# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the bounds of alerts are: how often, how long, how many."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest

from panicast_receiver.alerts import courier, decide
from panicast_receiver.alerts.rules import KINDS, Rules, Target
from panicast_receiver.db import schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.follower import Follower
from panicast_receiver.db.reader import Query
from panicast_receiver.db.writing import transaction
from panicast_receiver.sinks.telling import notice_of

from ..conftest import wait_until
from ..meaning.test_crash import OOPS, SYSRQ
from .fleet import Fleet, now, of

DAY_NS, HOUR_NS = 24 * 3600 * 10**9, 3600 * 10**9


class Sent(Fleet):
    """A fleet of which the messages are kept here."""

    def __init__(self, folder, monkeypatch, rules=None, **target):
        self.taken = []
        monkeypatch.setattr(courier, "GATHER_S", -1.0)
        monkeypatch.setattr(courier, "send", lambda _, alert: self.taken.append(alert))
        super().__init__(folder, "http://x/", rules, **target)

    def kinds(self):
        taken, self.taken = self.taken, []
        return [alert["kind"] for alert in taken]

    def write(self, *ages_ns, **fields):
        """Write an alert for each of these ages."""
        with closing(schema.open_writer(self.folder / schema.FILE_NAME)) as db, transaction(db):
            for age_ns in ages_ns:
                decide._write(db, {**courier.made_up(), **fields}, time.time_ns() - age_ns)

    def places(self):
        with closing(schema.open_writer(self.folder / schema.FILE_NAME)) as db:
            return db.execute("SELECT count(*) FROM target_alerts").fetchone()[0]

    def written(self):
        with closing(schema.open_writer(self.folder / schema.FILE_NAME)) as db:
            return db.execute("SELECT count(*) FROM alerts").fetchone()[0]


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    return Sent(tmp_path, monkeypatch)


def test_alerts_are_kept_for_thirty_days(fleet):
    fleet.write(31 * DAY_NS, 29 * DAY_NS, DAY_NS)
    decide.Alerts(fleet.rules, fleet.folder).deliver([])
    assert fleet.written() == 2


def crash(number, boot, at, **meta):
    return of(number, "panic", 1, at, SYSRQ, boot=boot, **meta)


def test_a_host_that_crashes_again_and_again_is_told_at_the_bound_and_once_in_a_while(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, Rules(host_crashes=3, host_hours=2.0))
    clock = [time.time_ns()]
    monkeypatch.setattr(decide.time, "time_ns", lambda: clock[0])
    start = now()

    def after(hours, *boots):
        clock[0] = (1_700_000_000 + start) * 10**9 + int(hours * HOUR_NS)
        fleet.store(*(crash(1, boot, start + int(hours * 3600)) for boot in boots))
        fleet.tell()
        return "host" in fleet.kinds()

    assert not after(0.1, 1, 2)
    # The same boot twice is one crash.
    assert not after(0.2, 2)
    assert after(0.3, 3)
    assert not after(1.0, 4, 5, 6)
    # Those of before the window do not count, and it is told of again.
    assert not after(4.0, 7, 8)
    assert after(4.1, 9)
    # Nor does a clock that was ahead for a while hold anything back.
    assert after(1000.0, 10, 11, 12)
    assert after(5.0, 13, 14, 15)


def test_what_is_not_believed_and_what_was_told_of_before_the_reboot_wakes_nobody(fleet):
    fleet.store(crash(1, 1, now()))
    follower, alerts = Follower(fleet.folder), decide.Alerts(fleet.rules, fleet.folder)
    (entry,) = follower.after(fleet.cursor, Query(limit=9))
    notice = notice_of(follower.reader(), entry)
    for fields in ({"kept": True, "same_crash": "0" * 12}, {"doubted": True}, {"signature": ""}):
        alerts.deliver([notice._replace(record={**notice.record, **fields})])
        assert fleet.written() == 0, fields
    # What was kept of a crash that nobody heard is news.
    alerts.deliver([notice._replace(record={**notice.record, "kept": True, "same_crash": None})])
    assert fleet.written() == 1
    follower.close()


def test_a_kernel_is_new_to_each_group_by_itself(fleet):
    fleet.store(crash(1, 1, now(), release="6.12.7"), of(2, "panic", 1, now(), OOPS, release="6.12.9"))
    fleet.tell()
    assert fleet.kinds() == ["first", "first"]
    fleet.store(crash(3, 1, now(), release="6.12.9"))
    fleet.tell()
    assert fleet.kinds() == ["kernel"]
    fleet.store(crash(4, 1, now(), release="6.12.9"))
    fleet.tell()
    assert fleet.kinds() == []


def test_a_record_that_names_no_kernel_is_of_no_new_one(fleet):
    fleet.store(crash(1, 1, now(), release="6.12.7"))
    follower, alerts = Follower(fleet.folder), decide.Alerts(fleet.rules, fleet.folder)
    (entry,) = follower.after(fleet.cursor, Query(limit=9))
    notice = notice_of(follower.reader(), entry)
    alerts.deliver([notice])
    alerts.deliver([notice._replace(record={**notice.record, "release": "", "crash": None})])
    assert fleet.written() == 1
    follower.close()


def test_an_alert_is_about_its_group_and_names_the_kernel_of_the_text(fleet):
    fleet.store(crash(1, 1, now()))
    follower, alerts = Follower(fleet.folder), decide.Alerts(fleet.rules, fleet.folder)
    (entry,) = follower.after(fleet.cursor, Query(limit=9))
    record = {**notice_of(follower.reader(), entry).record, "release": "", "crash": {"kernel": "6.1.2"}}
    alerts.deliver([notice_of(follower.reader(), entry)._replace(record=record)])
    follower.close()
    with closing(schema.open_writer(fleet.folder / schema.FILE_NAME)) as db:
        ((text,),) = db.execute("SELECT document FROM alerts").fetchall()
    told = json.loads(text)
    assert told["about"] == told["signature"] == record["signature"]
    assert (told["kernel"], told["host"]) == ("6.1.2", record["host"])


def test_threads_tell_each_target_and_look_for_silent_hosts_until_they_are_ended(fleet, monkeypatch):
    monkeypatch.setattr(courier, "LOOK_S", 0.01)
    monkeypatch.setattr(courier, "SILENT_S", 0.01)
    looked = []
    monkeypatch.setattr(decide, "look_for_silent", lambda *asked: looked.append(asked))
    targets, ages = [fleet.target, fleet.target._replace(name="other")], Ages(900.0)
    rules = Rules(target=targets)
    end = courier.begin(rules, fleet.folder, ages)
    # A target hears of what comes after it was begun.
    wait_until(lambda: fleet.places() >= 2 and looked)
    fleet.write(0)
    wait_until(lambda: len(fleet.taken) == 2)
    end()
    assert looked[0] == (rules, fleet.folder, ages)


def test_a_retired_host_is_not_one_of_those_that_are_heard(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, Rules(silent_hosts=2))
    old, late = now() - 50 * 24 * 3600, now() - 3600
    fleet.store(*(of(n, "hello", 1, late) for n in (1, 2)), *(of(n, "hello", 1, old) for n in (3, 4, 5)))
    decide.look_for_silent(fleet.rules, fleet.folder, Ages(900.0, 30.0))
    fleet.look()
    ((line, hosts),) = [(alert["line"], alert["hosts"]) for alert in fleet.taken]
    assert "2 of 2 hosts are silent: web-00001, web-00002" in line and not line.endswith("…") and hosts == 2


def test_when_most_of_the_silent_are_heard_again_others_are_news(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, Rules(silent_hosts=2))
    late = now() - 3600

    def told():
        decide.look_for_silent(fleet.rules, fleet.folder, Ages(900.0, 30.0))
        fleet.look()
        return fleet.kinds()

    fleet.store(*(of(n, "hello", 1, late) for n in range(6)))
    assert told() == ["silent"] and told() == []
    fleet.store(*(of(n, "hello", 2, now()) for n in range(5)))
    assert told() == []
    fleet.store(*(of(n, "hello", 1, late) for n in range(10, 13)))
    assert told() == ["silent"]


def test_a_new_target_begins_with_the_next_alert(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, on=("first",), digest_hours=1.0)
    fleet.write(5 * 60 * 10**9)
    fleet.target = Target("new", "json", "http://x/", on=("first",), digest_hours=1.0)
    fleet.look()
    fleet.write(0)
    fleet.look()
    assert fleet.kinds() == ["first"]


def test_a_digest_has_what_was_not_told_at_once(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, on=("first",), digest_hours=1e-9)
    fleet.look()
    fleet.kinds()
    fleet.write(0, about="a", title="told at once")
    fleet.write(0, kind="kernel", about="b", title="told later")
    fleet.look()
    at_once, digest = fleet.taken
    assert at_once["title"] == "told at once" and "more" not in at_once
    assert len(digest["more"]) == 1 and digest["title"] == "told later"
    fleet.look()
    assert len(fleet.taken) == 2


@pytest.mark.parametrize(("number", "messages"), [(courier.MANY, courier.MANY), (courier.MANY + 1, 1)])
def test_a_few_groups_are_told_one_by_one(number, messages):
    told = courier.together([{**courier.made_up(), "about": str(n)} for n in range(number)])
    assert len(told) == messages and ("more" in told[0]) == (messages == 1)


def test_the_most_urgent_of_a_group_is_told_as_it_is_now():
    alerts = [
        {**courier.made_up(kind), "about": about, "records": records}
        for kind, about, records in (("first", "a", 10), ("regression", "b", 1), ("kernel", "a", 11))
    ]
    of_one = [{**courier.made_up(kind), "about": "a"} for kind in ("first", "regression", "host")]
    assert [one["kind"] for one in courier.together(of_one)] == ["regression"]
    told = [(one["kind"], one["about"], one["records"]) for one in courier.together(alerts)]
    assert told == [("regression", "b", 1), ("first", "a", 11)]
    labelled = [{**courier.made_up(), "line": str(n), "labels": {"rack": "r1"}} for n in range(23)]
    summary = courier.summary(labelled, "at once")
    # It is about no host.
    assert summary["labels"] == {} and summary["host"] == summary["kernel"] == summary["signature"] == ""
    assert summary["more"][:20] == [str(n) for n in range(20)] and summary["more"][20:] == ["… and 3 more"]


class Stopping:
    """Ends a loop after so many pauses, and keeps them."""

    def __init__(self, rounds):
        self.pauses, self._rounds = [], rounds

    def wait(self, pause):
        self.pauses.append(pause)
        return len(self.pauses) > self._rounds


def test_what_fails_is_tried_less_often_and_as_often_as_before_when_it_works_again(caplog):
    def fails(retry_s=0.0):
        error = OSError("no route")
        error.retry_s = retry_s
        raise error

    results = iter([fails] * 10 + [lambda: None, fails, lambda: fails(700.0), lambda: None])
    stopping = Stopping(14)
    courier._run("alert test", lambda: next(results)(), 1.0, stopping, lambda: True)
    doubled = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, courier.LONGEST_S, courier.LONGEST_S]
    assert stopping.pauses == [1.0, *doubled, 1.0, 2.0, 700.0, 1.0]
    # The same complaint is made once, until it works.
    said = [record.getMessage() for record in caplog.records]
    assert said.count("alert test: works again") == 2
    assert sum("no route; trying again" in words for words in said) == 2


def test_nothing_is_done_while_the_database_cannot_be_used():
    stopping = Stopping(3)
    courier._run("alert test", lambda: pytest.fail("it worked"), 1.0, stopping, lambda: False)
    assert stopping.pauses == [1.0] * 4


def test_one_message_for_many_has_the_worst_of_them_and_says_how_many_there_are():
    alerts = [
        {**courier.made_up(kind), "severity": severity, "title": title, "line": f"line of {title}"}
        for kind, severity, title in (
            *(("kernel", "info", "a"), ("first", "warning", "b")),
            *(("first", "warning", "c"), ("host", "info", "d")),
        )
    ]
    made = courier.summary(alerts, "at once")
    assert (made["severity"], made["title"], made["kind"], made["about"]) == ("warning", "b", "first", "many")
    assert made["signature"] == made["host"] == made["kernel"] == ""
    counted = {"first": 2, "host": 1, "kernel": 1}
    said = ", ".join(f"{counted[kind]} x {text}" for kind, text in KINDS.items() if kind in counted)
    assert made["line"] == f"4 alerts at once: {said}; such as line of b"
    assert made["more"] == [f"line of {title}" for title in "abcd"]
    assert len(courier.summary(alerts[:1] * 20, "at once")["more"]) == 20
    long = courier.summary([{**alerts[0], "line": "x" * 1000}], "at once")["line"]
    assert len(long.encode()) == 700 and long.endswith("…")


def test_sendmail_gets_the_mail_and_its_failure_is_told(tmp_path, monkeypatch):
    program = tmp_path / "sendmail"

    def does(script):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    target = Target("t", "mail", to=("a@example.org",), sendmail=str(program))
    does(f'printf "%s\\n" "$@" >{tmp_path}/words; cat >{tmp_path}/mail; echo heard')
    courier.send(target, courier.made_up())
    assert (tmp_path / "words").read_text().splitlines() == ["-i", "-t"]
    assert (tmp_path / "mail").read_bytes() == courier.made(target, courier.made_up()).body
    does("head -c 300 /dev/zero | tr '\\0' x >&2; printf '\\377no\\n' >&2; exit 75")
    with pytest.raises(OSError, match=r"sendmail ended with 75: x{100,197}\N{REPLACEMENT CHARACTER}no$"):
        courier.send(target, courier.made_up())
    monkeypatch.setattr(courier, "_SENDMAIL_S", 0.01)
    does("exec sleep 600")
    with pytest.raises(OSError, match=r"sendmail did not end within 0\.01 seconds"):
        courier.send(target, courier.made_up())


def test_other_rules_end_what_tells_by_the_last_ones(tmp_path, monkeypatch):
    began, ended = [], []

    def begin(told, state_dir, ages, usable):
        began.append((told, state_dir, ages, usable))
        return lambda: ended.append(told)

    monkeypatch.setattr(courier, "begin", begin)
    first, second = Rules(silent_hosts=1), Rules(silent_hosts=2)
    alerts = decide.Alerts(first, tmp_path)
    couriers = courier.Couriers(alerts, tmp_path, bool)
    couriers.end()
    couriers.follow(first, "ages")
    couriers.follow(second, "others")
    assert began == [(first, tmp_path, "ages", bool), (second, tmp_path, "others", bool)]
    assert ended == [first] and alerts.rules is second
    couriers.end()
    assert ended == [first, second]


def test_many_messages_make_it_gather_for_longer(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(courier.time, "monotonic", lambda: now[0])
    one = courier._Courier(Target("t", "json"), tmp_path)
    for _ in range(courier.BUSY):
        assert one._gather_s() == courier.GATHER_S == 3.0
        one._sent.append(now[0])
    assert one._gather_s() == courier.GATHER_BUSY_S == 60.0
    now[0] += courier.BUSY_S
    assert one._gather_s() == courier.GATHER_S
