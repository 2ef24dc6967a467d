# SPDX-License-Identifier: GPL-2.0-or-later
"""Who makes crashes up, or sets the clock, keeps nobody from hearing of real ones."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from panicast_receiver.alerts import courier, decide
from panicast_receiver.alerts.rules import Rules
from panicast_receiver.db import alerts as stored_alerts
from panicast_receiver.db import schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.sinks import Away, webhook
from panicast_receiver.wire.v1 import FLAG_SEALED

from ..meaning.test_crash import OOPS, SYSRQ
from .fleet import now, of
from .test_deciding import HOUR_NS, Sent, crash


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    return Sent(tmp_path, monkeypatch)


def sealed(record):
    return replace(record, flags=record.flags | FLAG_SEALED)


def test_a_crash_that_was_made_up_first_is_news_once_it_is_real(fleet):
    fleet.store(crash(1, 1, now()))
    fleet.tell()
    assert fleet.kinds() == ["first"]
    fleet.store(sealed(crash(2, 1, now())))
    fleet.tell()
    (told,) = fleet.taken
    assert (told["kind"], told["sealed"], told["host"]) == ("first", True, "web-00002")
    fleet.store(sealed(crash(3, 1, now())), sealed(of(4, "panic", 1, now(), OOPS)), crash(5, 1, now()))
    fleet.tell()
    # The other group is new, and that is told once.
    assert fleet.kinds() == ["first", "first"]


def test_a_kernel_that_was_made_up_first_is_news_once_it_is_real(fleet):
    fleet.store(sealed(crash(1, 1, now())))
    fleet.store(crash(2, 1, now(), release="6.12.7"))
    fleet.tell()
    fleet.kinds()
    fleet.store(sealed(crash(3, 1, now(), release="6.12.7")))
    fleet.tell()
    (told,) = fleet.taken
    assert told["kind"] == "kernel" and told["sealed"] and told["kernel"] == "6.12.7"
    fleet.store(sealed(crash(4, 1, now(), release="6.12.7")))
    fleet.tell()
    assert fleet.kinds() == ["kernel"]


def test_real_crashes_that_become_ten_times_as_many_are_news_among_many_made_up_ones(fleet):
    fleet.store(sealed(crash(1, 1, now())), *(crash(number, 1, now()) for number in range(100, 220)))
    fleet.tell()
    fleet.kinds()
    fleet.store(*(sealed(crash(number, 1, now())) for number in range(2, 13)))
    fleet.tell()
    (told,) = fleet.taken
    assert told["kind"] == "tenfold" and told["sealed"]


def test_real_crashes_are_told_apart_from_many_that_are_made_up():
    forged = [{**courier.made_up(), "about": str(n), "line": f"forged {n}"} for n in range(30)]
    real = {**courier.made_up("kernel"), "about": "real", "sealed": True, "severity": "critical"}
    told = courier.together([*forged, {**real, "sealed": False}, real, {**real, "sealed": False}])
    assert [(one["about"], one["sealed"]) for one in told] == [("real", True), ("many", False)]
    many = [{**real, "about": f"real {n}"} for n in range(courier.MANY + 1)]
    # An incident for the ones does not take in the others.
    told = courier.together([*forged, *many])
    assert [one["about"] for one in told] == ["many sealed", "many"]
    assert told[0]["line"].startswith(f"{len(many)} alerts at once") and len(told[0]["more"]) == len(many)


def test_real_crashes_come_first_in_a_digest(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, on=("regression",), digest_hours=1e-9)
    fleet.kinds()
    fleet.write(*([0] * 30), kind="first")
    fleet.write(0, kind="tenfold", sealed=True, title="a real one")
    fleet.look()
    (digest,) = fleet.taken
    assert "a real one" in digest["more"][0] and len(digest["more"]) == courier._MOST + 1


def test_a_host_that_crashes_again_and_again_is_not_hidden_by_what_is_not_believed(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, Rules(host_crashes=3))
    start = now() - 100
    fleet.store(*(sealed(crash(1, boot, start + boot)) for boot in (1, 2)))
    # Newer than any real one, of one boot.
    fleet.store(*(of(1, "panic", event, start + 90, SYSRQ, boot=9) for event in range(1, 31)))
    fleet.tell()
    assert "host" not in fleet.kinds()
    fleet.store(sealed(crash(1, 3, start + 50)))
    fleet.tell()
    assert "host" in fleet.kinds()


def test_what_is_made_up_does_not_fill_the_disk_with_alerts(fleet, monkeypatch):
    monkeypatch.setattr(stored_alerts, "_FEWEST", 5)
    fleet.store(of(1, "panic", 1, now(), SYSRQ))
    fleet.tell()
    fleet.write(*range(9, 0, -1))
    with closing(schema.open_writer(fleet.folder / schema.FILE_NAME)) as db:
        (signature,) = db.execute("SELECT signature FROM groups").fetchone()
        db.executemany("INSERT INTO told VALUES ('group', ?, 1, 1)", [(f"{n:012}",) for n in range(20)])
    with closing(Store(fleet.folder)) as store:
        assert store.expire(Retention(size=1 << 10), time.time_ns()) >= 20
        told = set(map(tuple, store._db.execute("SELECT kind, about FROM told")))
    assert fleet.written() == 5
    # What there is stays known, and that it has begun.
    assert {("group", signature), ("begun", "")} <= told and len(told) <= 5


def told_of_deletions(fleet, caplog):
    """What the log says in two looks after alerts were made and most of them deleted."""
    fleet.write(*range(9, 0, -1))
    with closing(Store(fleet.folder)) as store:
        store.expire(Retention(size=1 << 10), time.time_ns())
    with caplog.at_level("WARNING"):
        fleet.look()
        fleet.look()
    return "".join(caplog.messages)


def test_what_was_deleted_before_a_target_heard_of_it_is_told_as_a_number(fleet, monkeypatch, caplog):
    monkeypatch.setattr(stored_alerts, "_FEWEST", 5)
    told = told_of_deletions(fleet, caplog)
    assert told.count("4 alerts were deleted before it was sent them: ") == 1
    assert len(fleet.kinds()) == 1
    fleet.write(0)
    fleet.look()
    assert len(fleet.kinds()) == 1


def test_what_was_deleted_is_told_once_though_what_follows_is_still_gathered(fleet, monkeypatch, caplog):
    monkeypatch.setattr(stored_alerts, "_FEWEST", 5)
    monkeypatch.setattr(courier, "GATHER_S", 3600.0)
    told = told_of_deletions(fleet, caplog)
    assert fleet.kinds() == []
    assert told.count("were deleted before it was sent them") == 1


def test_after_a_month_without_a_crash_the_next_one_is_told(fleet):
    """All alerts are deleted then. Their numbers began anew, so that as many were told to nobody."""
    fleet.write(31 * 24 * HOUR_NS, 31 * 24 * HOUR_NS)
    fleet.look()
    fleet.kinds()
    decide.Alerts(fleet.rules, fleet.folder).deliver([])
    assert fleet.written() == 0
    fleet.write(0)
    fleet.look()
    assert fleet.kinds() == ["first"]


def test_a_digest_of_very_many_leaves_none_out(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, on=(), digest_hours=1e-9)
    fleet.look()
    fleet.kinds()
    monkeypatch.setattr(courier, "_AT_A_TIME", 3)
    fleet.write(*range(8))
    for _ in range(4):
        fleet.look()
    assert [len(digest["more"]) for digest in fleet.taken] == [3, 3, 2]


def test_what_follows_as_many_as_are_read_at_a_time_does_not_wait_for_the_next_digest(tmp_path, monkeypatch):
    """More of the same time may have come meanwhile."""
    fleet = Sent(tmp_path, monkeypatch, on=(), digest_hours=1.0)
    fleet.look()
    monkeypatch.setattr(courier, "_AT_A_TIME", 3)
    clock = [time.time_ns() + 2 * HOUR_NS]
    monkeypatch.setattr(courier.time, "time_ns", lambda: clock[0])
    fleet.write(*range(3))
    fleet.look()
    fleet.write(*range(2))
    fleet.look()
    fleet.write(0)
    fleet.look()
    assert [len(digest["more"]) for digest in fleet.taken] == [3, 2]


def test_an_alert_of_made_up_names_takes_few_bytes(fleet):
    name = "ä" * 3000
    fleet.store(of(1, "panic", 1, now(), SYSRQ, release=name))
    fleet.tell()
    with closing(schema.open_writer(fleet.folder / schema.FILE_NAME)) as db:
        lengths = [row[0] for row in db.execute("SELECT length(CAST(document AS BLOB)) FROM alerts")]
        assert lengths and max(lengths) <= stored_alerts._ALERT_BYTES
        (longest,) = db.execute("SELECT max(length(CAST(about AS BLOB))) FROM told").fetchone()
        assert 0 < longest < stored_alerts._TOLD_BYTES


def test_made_up_hosts_that_fall_silent_do_not_keep_a_power_cut_from_being_told(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, Rules(silent_hosts=3))
    late = now() - 3600

    def told():
        decide.look_for_silent(fleet.rules, fleet.folder, Ages(900.0, 30.0))
        fleet.look()
        return [alert["title"] for alert in fleet.taken if alert["kind"] == "silent"]

    fleet.store(*(of(n, "hello", 1, late) for n in range(20)))
    (first,) = told()
    assert first.startswith("20 of 20 hosts are silent: ")
    fleet.store(*(sealed(of(n, "hello", 1, late)) for n in range(50, 54)))
    assert told()[1:] == ["4 of 4 hosts that seal are silent: web-00050, web-00051, web-00052 …"]
    assert len(told()) == 2


@pytest.mark.parametrize("wish", ["9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_target_ends_what_tells_it_by_when_it_wants_to_be_asked_again(monkeypatch, wish):
    """To wait for so many seconds is an error to Python."""
    stopping, tries = threading.Event(), []

    def refuse():
        tries.append(1)
        raise Away("503", webhook.seconds(wish))

    def wait(seconds):
        assert threading.Event().wait(0 * seconds) is False and seconds <= 3600.0
        return len(tries) > 2

    monkeypatch.setattr(stopping, "wait", wait)
    courier._run("alert oncall", refuse, 1.0, stopping, lambda: True)
    assert len(tries) == 3


def test_a_clock_that_was_ahead_holds_no_alert_back(tmp_path, monkeypatch):
    fleet = Sent(tmp_path, monkeypatch, on=("first",), digest_hours=1.0)
    monkeypatch.setattr(courier, "GATHER_S", 3.0)
    ahead = time.time_ns() + 24 * HOUR_NS
    with monkeypatch.context() as wrong:
        wrong.setattr(courier.time, "time_ns", lambda: ahead)
        fleet.write(0, about="a", kind="first")
        fleet.write(0, about="b", kind="tenfold")
        # The digest's time is from then.
        fleet.look()
        assert fleet.kinds() == ["tenfold"]
    fleet.write(0, about="b", kind="tenfold")
    fleet.look()
    assert fleet.kinds() == ["first", "tenfold"]
    # What comes now is gathered as ever.
    fleet.write(0, about="c", kind="first")
    fleet.look()
    assert fleet.kinds() == []
