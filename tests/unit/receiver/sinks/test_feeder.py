# SPDX-License-Identifier: GPL-2.0-or-later
"""What a feeder tells its sink: each record once, in order, over failures and restarts."""

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

import pytest

from panicast_receiver.db import changes
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import UNDELIVERED_NS, Retention
from panicast_receiver.sinks import Away, Notice, Refused, cursors, feeder
from panicast_receiver.sinks.cursors import begin, feed_only, move, rewind
from panicast_receiver.sinks.feeder import LONGEST_WISH_S, Feeder

from ..conftest import PATIENCE_S, explain, wait_until
from ..db.test_fleet import record
from ..meaning.test_crash import SYSRQ
from .conftest import write


class Recorder:
    """A sink that fails as often as it is told to."""

    name = "recorder"
    most = 2

    def __init__(self, failures=0, what=lambda told: (told.record["event"], told.record["complete"])):
        self.failures, self.what = failures, what
        self.got = []

    def deliver(self, batch: Sequence[Notice]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("not now")
        self.got += [self.what(told) for told in batch]


def feed(sink, folder, wanted):
    """Run a feeder until it has delivered so many records."""
    feeder = Feeder(sink, folder)
    feeder.start()
    wait_until(lambda: feeder.counts["delivered"] >= wanted)
    feeder.stop()
    feeder.join(PATIENCE_S)
    return feeder.counts


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Do not wait long, but for a meaning: what comes late is told twice."""
    for module in ("follower", "meanings"):
        monkeypatch.setattr(f"panicast_receiver.db.{module}.PATIENCE_S", 3600.0)
    for name in ("LOOK_S", "RETRY_S", "LONGEST_S"):
        monkeypatch.setattr(f"panicast_receiver.sinks.feeder.{name}", 0.02)


def test_a_record_that_is_larger_than_a_batch_is_told_alone(store, tmp_path, monkeypatch):
    monkeypatch.setattr(feeder, "BATCH_BYTES", 100)
    begin(store._db, "recorder", 0)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ * 3) for n in (1, 2, 3)))
    batches = []
    sink = Recorder()
    deliver = sink.deliver
    monkeypatch.setattr(sink, "deliver", lambda batch: (batches.append(len(batch)), deliver(batch)))
    feed(sink, tmp_path, 3)
    assert [event for event, _ in sink.got] == [1, 2, 3] and batches == [1, 1, 1]


def test_records_are_told_once_in_order_over_failures_and_restarts(store, tmp_path):
    write(store, record("panic", "a", 1, 1, 0, SYSRQ))
    first = Recorder()
    # A new sink begins with what comes from now on.
    feeder = Feeder(first, tmp_path)
    feeder.start()
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (2, 3)), record("hello", "a", 1, 9, 9))
    wait_until(lambda: len(first.got) >= 2)
    feeder.stop()
    feeder.join(PATIENCE_S)
    assert first.got == [(2, True), (3, True)]
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (4, 5, 6)))
    second = Recorder(failures=3)
    counts = feed(second, tmp_path, 3)
    assert second.got == [(4, True), (5, True), (6, True)] and counts["failed"] == 3
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 5).received_ns) == 2
    third = Recorder()
    feed(third, tmp_path, 2)
    assert third.got == [(5, True), (6, True)]


def test_while_the_disk_is_full_what_is_stored_is_told_once_and_soon_noted_afterwards(
    store, tmp_path, monkeypatch
):
    full = [True]

    def moved(*step):
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return move(*step)

    monkeypatch.setattr(cursors, "move", moved)
    monkeypatch.setattr(feeder, "LONGEST_S", 1e6)
    sink = Recorder()
    thread = Feeder(sink, tmp_path)
    thread.start()
    for number in (1, 2, 3):
        write(store, record("panic", "a", 1, number, number, SYSRQ))
        wait_until(lambda number=number: len(sink.got) >= number)
    # With pauses that grow, the tenth try were nobody's to see.
    wait_until(lambda: thread.counts["failed"] > 10)
    assert thread.counts["failing"] and begin(store._db, sink.name) < changes.newest(store._db)
    full[0] = False
    wait_until(lambda: not thread.counts["failing"])
    thread.stop()
    thread.join(PATIENCE_S)
    assert [number for number, _ in sink.got] == [1, 2, 3]
    assert begin(store._db, sink.name) == changes.newest(store._db)


class Fussy:
    """A sink that fails with one record whenever it comes, like a server that answers 500 to it."""

    name = "fussy"
    most = 1

    def __init__(self, error):
        self.error, self.got = error, []

    def deliver(self, batch):
        for told in batch:
            if told.record["event"] == 2 and self.error:
                raise self.error
            self.got.append(told.record["event"])


@pytest.mark.parametrize("error", [OSError("500"), Refused("no")])
def test_a_record_that_it_cannot_take_is_set_aside_shown_and_sent_again(error, store, tmp_path, cli):
    fussy = Fussy(error)
    feed(fussy, tmp_path, 0)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2, 3, 4)))
    counts = feed(fussy, tmp_path, 3)
    assert fussy.got == [1, 3, 4] and counts["refused"] == 1
    (sink,) = json.loads(cli("sinks", "--json", state_dir=tmp_path).stdout)
    assert [one["reason"] for one in sink["aside"]] == [str(error)]
    assert (sink["waiting"], sink["state"]) == (0, "works")
    shown = cli("sinks", state_dir=tmp_path).stdout
    assert sink["aside"][0]["id"] in shown and str(error) in shown
    assert cli("resend", "--sink", "fussy", "--aside", state_dir=tmp_path).returncode == 0
    fussy.error = None
    feed(fussy, tmp_path, 1)
    assert fussy.got == [1, 3, 4, 2]
    (sink,) = json.loads(cli("sinks", "--json", state_dir=tmp_path).stdout)
    assert sink["aside"] == []


class Poisoned(Fussy):
    """The same with several."""

    def __init__(self, events):
        super().__init__(OSError("500"))
        self.events, self.asked = events, 0

    def deliver(self, batch):
        self.asked += 1
        for told in batch:
            if told.record["event"] in self.events:
                raise self.error
            self.got.append(told.record["event"])


@pytest.mark.parametrize("bad", [2, 3, 60])
def test_records_that_it_cannot_take_stop_nobody_however_many_come_in_a_row(bad, store, tmp_path):
    events = range(2, 2 + bad)
    sink = Poisoned(events)
    feed(sink, tmp_path, 0)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in range(1, bad + 4)))
    counts = feed(sink, tmp_path, 3)
    assert sorted(sink.got) == [1, bad + 2, bad + 3] and counts["refused"] == bad
    # Not each is tried again and again.
    assert sink.asked <= 2 * bad + 12


def test_a_row_that_cannot_be_read_is_set_aside(store, tmp_path, monkeypatch):
    sink = Fussy(None)
    feed(sink, tmp_path, 0)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2, 3)))
    real = Reader.load

    def load(reader, entry):
        if entry.summary["event"] == 2:
            raise ValueError("torn")
        return real(reader, entry)

    monkeypatch.setattr(Reader, "load", load)
    counts = feed(sink, tmp_path, 2)
    assert sink.got == [1, 3] and counts["refused"] == 1


def test_what_is_stored_after_the_newest_was_deleted_is_told(store, tmp_path):
    sink = Recorder()
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2)))
    feed(sink, tmp_path, 0)
    with closing(Reader(tmp_path)) as reader:
        store.delete([entry.identity for entry in reader.select(Query())])
    write(store, record("panic", "a", 1, 3, 3, SYSRQ))
    feed(sink, tmp_path, 1)
    assert sink.got == [(3, True)]


def test_what_nobody_has_understood_is_told_without_and_again_with_its_meaning(store, tmp_path, monkeypatch):
    for module in ("follower", "meanings"):
        monkeypatch.setattr(f"panicast_receiver.db.{module}.PATIENCE_S", 0.0)
    sink = Recorder(what=lambda told: told.record["meaning"])
    feed(sink, tmp_path, 0)
    store.write([record("panic", "a", 1, 1, 1, SYSRQ)])
    feed(sink, tmp_path, 1)
    explain(tmp_path)
    feed(sink, tmp_path, 1)
    assert sink.got == ["pending", "found"]


def test_retention_waits_for_sinks_that_are_fed_for_a_week(store, tmp_path):
    Feeder(Recorder(), tmp_path)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2, 3)))
    few = Retention(days=1, per_host=1)

    def left(now_ns):
        while store.expire(few, now_ns):
            pass
        with closing(Reader(tmp_path)) as reader:
            return len(reader.select(Query()))

    feed_only(tmp_path, ["recorder"])
    assert left(time.time_ns()) == 3
    feed(Recorder(), tmp_path, 3)
    write(store, record("panic", "b", 2, 1, 9, SYSRQ))
    assert left(time.time_ns()) == 1
    assert left(time.time_ns() + UNDELIVERED_NS) == 0


def test_what_waits_for_its_turn_is_kept_no_longer_and_what_no_sink_was_told_of_is_counted(store, tmp_path):
    """A sink that is away for a month lets the store grow no more than the settings say."""
    store.at_once = lambda _: False
    begin(store._db, "recorder")
    feed_only(tmp_path, ["recorder"])
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in range(1, 6)), record("hello", "a", 1, 9, 9))
    few = Retention(days=1, per_host=1)
    assert store.expire(few, time.time_ns()) == 1 and store.undelivered == 0, "hello alone is old and told"
    assert store.expire(few, time.time_ns() + UNDELIVERED_NS, step_s=60) == 5 and store.undelivered == 5
    write(store, *(record("panic", "b", 2, n, n, "x" * 100) for n in range(1, 200)))
    while store.expire(Retention(size=150_000), time.time_ns()):
        pass
    with closing(Reader(tmp_path)) as reader:
        assert store.undelivered == 5 + 199 - len(reader.select(Query())) > 5


def test_retention_does_not_wait_for_a_sink_that_is_no_more(store, tmp_path):
    Feeder(Recorder(), tmp_path)
    write(store, record("panic", "a", 1, 1, 1, SYSRQ))
    feed_only(tmp_path, ["another"])
    assert store.expire(Retention(days=1), time.time_ns())
    with closing(Reader(tmp_path)) as reader:
        assert reader.select(Query()) == []


def test_what_is_deleted_is_not_aside_any_more(store, tmp_path):
    one = record("panic", "a", 1, 1, 1, SYSRQ)
    write(store, one)
    cursor = begin(store._db, "fussy")
    move(store._db, "fussy", cursor, cursor, [], [(one.identity, "no")])
    assert store._db.execute("SELECT count(*) FROM aside").fetchone()[0] == 1
    assert store.expire(Retention(days=1), time.time_ns())
    assert store._db.execute("SELECT count(*) FROM aside").fetchone()[0] == 0


def test_no_server_keeps_a_sink_away_for_longer_than_an_hour(store, tmp_path):
    pauses = []

    class Stopping:
        def wait(self, pause_s):
            pauses.append(pause_s)
            return len(pauses) > 1

    feeder = Feeder(Fussy(Away("in a year", 365 * 86400.0)), tmp_path)
    write(store, record("panic", "a", 1, 2, 1, SYSRQ))
    feeder._stopping = Stopping()
    feeder.run()
    assert pauses[1] == LONGEST_WISH_S == 3600


def test_who_is_sent_something_again_is_not_moved_on_by_what_was_on_its_way(store, tmp_path):
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2)))
    cursor = begin(store._db, "recorder")
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 2).received_ns) == 1
    again = begin(store._db, "recorder")
    assert again < cursor
    assert not move(store._db, "recorder", cursor, cursor + 1, [], [])
    assert begin(store._db, "recorder") == again
    # Nor is who has less yet.
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 1).received_ns) == 2
    least = begin(store._db, "recorder")
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 2).received_ns) == 1
    assert begin(store._db, "recorder") == least < again
