# SPDX-License-Identifier: GPL-2.0-or-later
"""Maintenance windows: which hosts are in one, from when until when, and who said so."""

import json
import time
from contextlib import closing

import pytest

from panicast_receiver.cli import main as command_line
from panicast_receiver.db import labels, maintenance, schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.changing import changing
from panicast_receiver.db.query import Query
from panicast_receiver.db.reader import Reader
from panicast_receiver.db.store import Store
from panicast_receiver.errors import NotFoundError, UsageError
from panicast_receiver.records.labels import parse as rules

from ..conftest import explain
from ..meaning.test_crash import SYSRQ
from .test_fleet import record

AGES = Ages(900)


def now():
    """Seconds since the START of records, when it is asked: a run of all tests takes an hour."""
    return int(time.time()) - 1_700_000_000


HOUR_NS = 3600 * 10**9


def later(hours):
    """So many hours from now, as people write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3600 * hours))


def order(hosts="db-*", begin="", until="4h", **changes):
    return maintenance.Order("start", "", hosts, begin, until, "new disks", "ann", "test")._replace(**changes)


def change(place, made):
    with changing(place) as db:
        return maintenance.change(db, made)


def end(place, number, **changes):
    return change(place, order(action="end", number=str(number), hosts="", until="", **changes))


@pytest.fixture
def state(tmp_path, place, passed):
    """Three hosts that say hello, one of them with a label."""
    with closing(Store(tmp_path)) as store:
        names = ("db-1", "DB-2", "web-1")
        store.write([record("hello", name, n, 1, now() - 10) for n, name in enumerate(names, 1)])
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db:
        labels.put(db, rules("web-1 rack=R12", "f"))
    passed()
    return place


def inside(place, hours=0.0):
    """The hosts that are in a window, so many hours from now."""
    with closing(Reader(place)) as reader:
        found = reader.hosts(AGES, time.time_ns() + int(hours * HOUR_NS), maintenance=True)
    return [one["host"] for one in found]


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        ("db-*", ["DB-2", "db-1"]),
        ("db-?", ["DB-2", "db-1"]),
        ("web-1", ["web-1"]),
        ("web", []),
        ("rack=r12", ["web-1"]),
        ("rack=R1*", ["web-1"]),
        ("rack=", []),
        ("DB-1  rack=r12", ["db-1", "web-1"]),
        ("owner=r12", []),
        ("[dw]*", []),
        ("*", ["DB-2", "db-1", "web-1"]),
    ],
)
def test_hosts_are_in_it_by_name_and_label(state, hosts, found):
    change(state, order(hosts))
    assert inside(state) == found
    with closing(Reader(state)) as reader:
        now_ns = time.time_ns()
        assert sum(reader.maintained(AGES, now_ns).values()) == len(found)
        assert len(reader.hosts(AGES, now_ns, maintenance=False)) == 3 - len(found)
        assert len(reader.hosts(AGES, now_ns)) == 3


def test_it_has_a_beginning_and_an_end(state):
    change(state, order("db-1", later(1), later(3)))
    assert [inside(state, hours) for hours in (0, 0.9, 1.1, 2.9, 3.1)] == [[], [], ["db-1"], ["db-1"], []]


def test_who_comes_later_is_in_it_too(state):
    change(state, order("db-*"))
    with closing(Store(state)) as store:
        store.write([record("hello", "db-9", 9, 1, now())])
    assert "db-9" in inside(state)


def test_each_window_says_who_started_and_ended_it(state):
    first, second = change(state, order()), change(state, order("web-*", by="bob"))
    assert first != second and len(inside(state)) == 3
    assert end(state, first, by="eve", via="API", note="done early") == first
    assert inside(state) == ["web-1"]
    with closing(Reader(state)) as reader:
        now_ns = time.time_ns()
        (left,) = reader.windows(now_ns)
        newest, over = reader.windows(now_ns, over=True)
    assert left == newest and (left["number"], left["state"], left["by"]) == (second, "now", "bob")
    assert (over["state"], over["hosts"], over["by"], over["via"]) == ("over", ["db-*"], "ann", "test")
    assert (over["note"], over["ended_by"], over["ended_via"]) == ("new disks", "eve", "API")
    assert over["ended_note"] == "done early" and over["from"] < over["ended"] < over["until"]
    with pytest.raises(UsageError, match=f"window {first} is over already"):
        end(state, first)
    with pytest.raises(NotFoundError, match="there is no window 99"):
        end(state, 99)


def test_one_that_is_ended_before_it_begins_never_was(state):
    end(state, change(state, order("db-*", later(1), later(3))))
    assert inside(state, 2) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hosts": ""}, "say which hosts"),
        ({"hosts": " ".join(f"h{n}" for n in range(51))}, "51 names and labels are too many"),
        ({"hosts": "h" * 2001}, "hosts is too long; it may have 2000 characters"),
        ({"hosts": "Rack-Row=1"}, "'Rack-Row=1' is not a label"),
        ({"until": ""}, "say until when"),
        ({"until": "later"}, "'later' is neither an age"),
        ({"until": "2020-01-01"}, "is over before it begins"),
        ({"begin": "2d", "until": "1d"}, "is over before it begins"),
        ({"until": "91d"}, "a window may last 90 days"),
        ({"by": " "}, "say who you are"),
        ({"note": "n" * 2001}, "note is too long"),
        ({"action": "explode"}, "there is no action 'explode'; there are: start, end"),
        ({"action": "end", "number": "x"}, "'x' is not the number of a window"),
        ({"action": "end", "number": "9" * 19}, "is not the number of a window"),
    ],
)
def test_what_is_wrong_is_said(state, changes, words):
    with pytest.raises(UsageError) as wrong:
        change(state, order(**changes))
    assert words in str(wrong.value)
    with closing(Reader(state)) as reader:
        assert reader.windows(time.time_ns(), over=True) == []


def test_there_are_not_too_many_and_old_ones_go(state, monkeypatch):
    monkeypatch.setattr(maintenance, "_MOST", 2)
    first = change(state, order())
    change(state, order())
    with pytest.raises(UsageError, match="there are 2 windows already"):
        change(state, order())
    end(state, first)
    with changing(state) as db:
        old = time.time_ns() - 91 * 24 * HOUR_NS
        db.execute("UPDATE windows SET until_ns = ? WHERE number = ?", (old, first))
    last = change(state, order())
    with closing(Reader(state)) as reader:
        assert first not in {one["number"] for one in reader.windows(time.time_ns(), over=True)}
    with changing(state) as db:
        terms = {row[0] for row in db.execute("SELECT number FROM window_terms")}
    assert first not in terms and last in terms


def test_who_starts_and_ends_windows_without_end_does_not_fill_the_disk(state, monkeypatch):
    monkeypatch.setattr(maintenance, "_MOST_SHOWN", 3)
    for _ in range(9):
        end(state, change(state, order(until="80d")))
    with closing(schema.open_writer(state / schema.FILE_NAME)) as db:
        assert db.execute("SELECT count(*) FROM windows").fetchone()[0] <= 4
        assert db.execute("SELECT count(DISTINCT number) FROM window_terms").fetchone()[0] <= 4


def test_a_record_is_in_it_by_when_it_came(state):
    change(state, order("db-*", later(-1)))
    crashes = [
        record("panic", "db-1", 1, 5, now(), SYSRQ),
        record("panic", "db-1", 9, 5, now() - 7200, SYSRQ),
    ]
    with closing(Store(state)) as store:
        store.write([*crashes, record("panic", "web-1", 3, 5, now(), SYSRQ)])
    explain(state)
    with closing(Reader(state)) as reader:
        found = [(one.summary["host"], one.summary["maintenance"]) for one in reader.select(Query())]
        burning = reader.burning(AGES, time.time_ns())
    assert found == [("db-1", None), ("db-1", 1), ("web-1", None)]
    # Counted as always, and told apart.
    assert (burning["day"], burning["panicked"], burning["maintenance"]) == (3, 1, 1)


def test_windows_are_changed_by_the_command(state, at, capsys):
    def run(*argv):
        """Code, output and errors, in this process: a new one takes its time."""
        code = command_line.main([*argv, *at])
        return code, *capsys.readouterr()

    start = ("maintenance", "start", "db-*", "rack=r12", "--until", "4h", "--by", "ann")
    code, _, said = run(*start, "--note", "new switches\x1b[2J")
    assert code == 0 and "3 hosts are in maintenance now" in said
    (window,) = json.loads(run("maintenance", "list", "--json")[1])
    assert (window["hosts"], window["by"], window["via"]) == (["db-*", "rack=r12"], "ann", "command")
    listed = run("maintenance")[1]
    assert "new switches\\x1b[2J" in listed and "\x1b" not in listed
    assert "armed, in maintenance" in run("hosts")[1]
    assert run("maintenance", "end", str(window["number"]))[0] == 0
    assert "no maintenance window" in run("maintenance")[2]
    assert "over" in run("maintenance", "list", "--all")[1]
    for argv, code, words in (
        (("start", "db-*"), 2, "say until when"),
        (("start", "--until", "4h"), 2, "say which hosts"),
        (("end", "7"), 1, "there is no window 7"),
        (("end",), 2, "is not the number of a window"),
        (("list", "db-1"), 2, "list takes no hosts"),
    ):
        failed, _, said = run("maintenance", *argv)
        assert failed == code and words in said, said
