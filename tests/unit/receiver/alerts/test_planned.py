# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom alerts reach by a host's labels, and whom they leave alone in a maintenance window."""

import json
from contextlib import closing

import pytest

from panicast_receiver.alerts import courier, decide, rules
from panicast_receiver.alerts.rules import Rules, Target
from panicast_receiver.db import labels, maintenance, schema
from panicast_receiver.db.writing import transaction
from panicast_receiver.records.labels import parse

from ..meaning.test_crash import OOPS, SYSRQ
from .fleet import AGES, now, of
from .test_deciding import Sent


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """One whose target hears of everything that it hears of by default."""
    return Sent(tmp_path, monkeypatch, Rules(silent_hosts=3))


def label(fleet, text):
    with closing(schema.open_writer(fleet.folder / schema.FILE_NAME)) as db:
        labels.put(db, parse(text, "f"))


def work_on(fleet, hosts, action="start", number=""):
    """Start a window that began an hour ago, or end one."""
    order = maintenance.Order(action, number, hosts, "", "4h", "", "ann", "test")
    with closing(schema.open_writer(fleet.folder / schema.FILE_NAME)) as db, transaction(db):
        done = maintenance.change(db, order)
        db.execute("UPDATE windows SET from_ns = from_ns - 3600000000000")
    return done


def crash(number, event, text=SYSRQ, at=0, **meta):
    return of(number, "panic", event, now() + at, text, boot=event, **meta)


def happens(fleet, *records):
    fleet.store(*records)
    fleet.tell()
    return fleet.kinds()


def in_digest(fleet):
    """What there is to tell, in the order of its coming."""
    with closing(schema.open_writer(fleet.folder / schema.FILE_NAME)) as db:
        return [
            json.loads(row[0])["kind"] for row in db.execute("SELECT document FROM alerts ORDER BY number")
        ]


def test_a_crash_in_a_window_is_told_in_the_digest_alone_and_makes_none_known(fleet):
    number = work_on(fleet, "web-00001 web-00002")
    assert happens(fleet, *(crash(1, event) for event in range(1, 12)), crash(2, 1)) == []
    assert in_digest(fleet) == ["maintenance"]
    # The first one outside it is a new crash.
    assert happens(fleet, crash(3, 1)) == ["first"]
    assert happens(fleet, crash(1, 20)) == []
    work_on(fleet, "", "end", str(number))
    assert happens(fleet, crash(1, 21, at=60, release="6.12.1")) == ["kernel"]


def test_a_regression_in_a_window_is_told_when_it_is_seen_outside(fleet):
    assert happens(fleet, crash(1, 1, OOPS, at=-100)) == ["first"]
    fleet.change("resolve")
    work_on(fleet, "web-00002")
    assert happens(fleet, crash(2, 1, OOPS, at=60)) == []
    assert happens(fleet, crash(3, 1, OOPS, at=61)) == ["regression"]
    assert happens(fleet, crash(4, 1, OOPS, at=62)) == []


def test_silent_hosts_in_a_window_are_not_counted(fleet):
    work_on(fleet, "web-0001?")
    late = now() - 3600
    quiet = [of(number, "hello", 1, late) for number in range(10, 16)]
    assert happens(fleet, *quiet) == []
    assert happens(fleet, *(of(number, "hello", 1, late) for number in range(20, 23))) == ["silent"]
    (alert,) = [one for one in told_of(fleet) if one["kind"] == "silent"]
    assert alert["hosts"] == 3 and "web-0001" not in alert["title"]


def told_of(fleet):
    with closing(schema.open_writer(fleet.folder / schema.FILE_NAME)) as db:
        return [json.loads(row[0]) for row in db.execute("SELECT document FROM alerts")]


def test_hosts_that_stay_silent_count_when_the_window_ends(fleet):
    number = work_on(fleet, "web-*")
    assert happens(fleet, *(of(n, "hello", 1, now() - 3600) for n in range(5))) == []
    work_on(fleet, "", "end", str(number))
    decide.look_for_silent(fleet.rules, fleet.folder, AGES)
    fleet.look()
    assert fleet.kinds() == ["silent"]


def test_who_asks_for_it_hears_of_maintenance_at_once(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, on=("maintenance",))
    work_on(fleet, "*")
    assert happens(fleet, crash(1, 1), crash(2, 1)) == ["maintenance"]


def test_a_target_hears_of_hosts_with_its_labels(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, labels=("owner=dba",))
    label(fleet, "web-00001 owner=dba\nweb-* rack=r12\n")
    assert happens(fleet, crash(2, 1)) == []
    fleet.store(crash(1, 1, OOPS))
    fleet.tell()
    (alert,) = fleet.taken
    assert alert["labels"] == {"owner": "dba", "rack": "r12"} and alert["kind"] == "first"
    # What is about no single host passes.
    assert fleet.target.wants({**courier.made_up("silent"), "host": ""})


def test_each_format_has_the_labels():
    alert = {**courier.made_up("host"), "labels": {"owner": "data base", "severity": "none"}}
    line = "owner=data base severity=none"

    def made(form, **fields):
        told = courier.made(Target("t", form, "http://x/y", to=("a@b.example",), **fields), alert)
        return told.body.decode()

    (given,) = json.loads(made("alertmanager"))
    assert given["annotations"]["labels"] == line
    # Of a host, and none of ours.
    assert given["labels"]["owner"] == "data base" and given["labels"]["severity"] == "info"
    assert json.loads(made("json"))["labels"] == alert["labels"]
    assert json.loads(made("json", template='{"a": "on {labels}"}')) == {"a": f"on {line}"}
    assert json.loads(made("pagerduty"))["payload"]["custom_details"]["labels"] == line
    assert f"labels:    {line}" in made("mail")


@pytest.mark.parametrize("wrong", ['"owner=dba"', '["owner"]', '["Rack-Row=1"]', "[5]"])
def test_a_wrong_filter_is_named(tmp_path, wrong):
    path = tmp_path / "alerts.toml"
    path.write_text(f'[[target]]\nname = "a"\nformat = "json"\nurl = "http://x/"\nlabels = {wrong}\n')
    with pytest.raises(rules.UsageError, match=r"target 1: labels: .* right is an array of NAME=PATTERN"):
        rules.load(str(path))
    path.write_text(path.read_text().replace(wrong, '["owner=dba"]'))
    assert rules.load(str(path)).target[0].labels == ["owner=dba"]
