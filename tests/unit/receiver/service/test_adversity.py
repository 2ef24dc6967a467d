# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that is full, a clock that jumps, a start that takes long: nothing is lost by it, and it is said."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from panicast_receiver import stats
from panicast_receiver.db import changes
from panicast_receiver.db.follower import Follower
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.log import logger
from panicast_receiver.service.calendar import STAND_NS, Calendar
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.handoff import Handoff

from ..conftest import PATIENCE_S, Receiver, wait_until
from ..db.test_damage import NAME, with_text
from ..db.test_fleet import record
from ..meaning.test_crash import SYSRQ

DAY = STAND_NS
YEAR = 365 * DAY
NOW = 1_800_000_000 * 10**9


@pytest.fixture
def committer(tmp_path):
    """A store thread, and what hands records to it."""
    with closing(Store(tmp_path)) as store:
        handoff = Handoff()
        thread = Committer(handoff, store)
        yield store, handoff, thread
        handoff.close()
        thread.stop()
        if thread.ident:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def test_on_a_full_disk_what_need_not_be_kept_makes_room(tmp_path, committer):
    """As many pages as there are, and not one more: that is all that SQLite notices of a full disk."""
    store, handoff, thread = committer
    store.write([with_text(number) for number in range(1, 101)])
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    # So that it waits until it is asked to.
    thread.retain(Retention(per_host=10))
    thread._retain_at = time.monotonic() + 3600
    thread.start()
    handoff.put([with_text(number) for number in range(101, 106)])
    wait_until(lambda: thread.counts["new"] == 5)
    assert thread.counts["deleted by retention"] and thread.trouble == ""


def test_a_mistake_in_the_stores_thread_keeps_nobody_waiting(committer, monkeypatch):
    """The service then ends, and systemd begins another; capture must not wait for room that never comes."""
    store, handoff, thread = committer
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(store, "write", lambda _: 1 / 0)
    handoff.limit = 1
    until = time.monotonic() + PATIENCE_S / 4

    def beat():
        assert time.monotonic() < until, "it waits for ever"

    thread.start()
    records = [replace(with_text(number), frames=9) for number in (1, 2, 3)]
    assert handoff.put(records, beat) < 3


def test_trying_again_uses_up_no_allowance(tmp_path, committer):
    store, handoff, thread = committer
    store.write([with_text(number) for number in range(1, 21)])
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    asked = []
    thread._allowances.at_once = lambda record, now: asked.append(record.identity) or True
    thread.start()
    handoff.put([with_text(number) for number in range(101, 106)])
    wait_until(lambda: thread.trouble)
    for _ in range(3):
        beat = thread.beat_at
        wait_until(lambda beat=beat: thread.beat_at > beat)
    store._db.execute("PRAGMA max_page_count = 100000")
    wait_until(lambda: thread.counts["new"] == 5)
    assert len(asked) == len(set(asked)) == 5


def test_who_was_told_at_once_is_remembered_for_a_batch_alone(committer):
    _, handoff, thread = committer
    thread.start()
    for first in (1, 51, 101):
        handoff.put([with_text(number) for number in range(first, first + 50)])
        wait_until(lambda first=first: thread.counts["new"] == first + 49)
    assert len(thread._at_once) <= 50


def test_that_no_new_file_could_be_begun_is_shown_until_one_is(committer, monkeypatch):
    store, _, thread = committer
    monkeypatch.setattr("panicast_receiver.service.committer.RETRY_S", 0.01)
    shown = []

    def begin_anew(error):
        shown.append(thread.trouble)
        if len(shown) < 3:
            raise OSError("no room")

    monkeypatch.setattr(store, "begin_anew", begin_anew)
    thread._begin_anew(sqlite3.DatabaseError("database disk image is malformed"))
    assert shown == ["", "no room", "no room"] and thread.trouble == ""


def test_what_was_deleted_untold_is_said(committer, caplog, monkeypatch):
    # Whoever has started a log in this process keeps it from others.
    monkeypatch.setattr(logger, "propagate", True)
    store, _, thread = committer
    store.undelivered = 7
    thread.start()
    wait_until(lambda: "7 records were deleted" in caplog.text)
    assert thread.counts["deleted untold"] == 7
    # Once, and then how many more.
    thread.stop()
    for undelivered in (7, 9):
        store.undelivered = undelivered
        thread._say_undelivered()
    assert caplog.text.count("records were deleted") == 2 and "2 records were deleted" in caplog.text


def test_a_full_disk_is_waited_out_shown_and_no_reason_to_be_restarted(tmp_path, committer):
    store, handoff, thread = committer
    store.write([with_text(number) for number in range(1, 21)])
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    thread.start()
    handoff.put([with_text(number) for number in range(101, 106)])
    wait_until(lambda: thread.trouble)
    assert "no room" in thread.trouble and str(store.path) in thread.trouble
    for _ in range(3):
        beat = thread.beat_at
        wait_until(lambda beat=beat: thread.beat_at > beat)
    assert thread.counts["new"] == thread.counts["deleted by retention"] == 0
    store._db.execute("PRAGMA max_page_count = 100000")
    wait_until(lambda: thread.counts["new"] == 5)
    assert thread.trouble == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small disk")
def test_the_counts_are_written_on_a_full_disk_too(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "panicast", tmp_path], check=True)
    try:
        stats.write(tmp_path, {"written": time.time(), "trouble": ""})
        with (tmp_path / "filler").open("wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                assert file.write(bytes(4096)) == 4096
        # The second is shorter than the one before.
        for trouble in ("no room", ""):
            stats.write(tmp_path, {"written": time.time(), "trouble": trouble})
            found = stats.read(tmp_path)
            assert found and found["trouble"] == trouble
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def told(calendar, *readings):
    """What is told at each (wall, steady), from the epoch."""
    return [calendar._time_ns(wall, steady) for wall, steady in readings]


def test_a_clock_that_jumps_is_not_believed_until_it_has_stood_for_a_day():
    calendar, hour = Calendar(NOW - 60 * 10**9), 3600 * 10**9
    assert told(calendar, (NOW, 0), (NOW + hour, hour)) == [NOW, NOW + hour]
    # Ahead by years, and back.
    assert told(calendar, (NOW + 9 * YEAR, 2 * hour), (NOW + 3 * hour, 3 * hour)) == [
        NOW + 2 * hour,
        NOW + 3 * hour,
    ]
    # Ahead, and so it stays.
    ahead = [(NOW + 9 * YEAR + n * hour, n * hour) for n in range(4, 30)]
    found = told(calendar, *ahead)
    assert found[:20] == [NOW + n * hour for n in range(4, 24)] and found[-1] == ahead[-1][0]


def test_a_clock_that_jumps_again_and_again_is_not_believed_though_a_day_is_over():
    calendar, hour = Calendar(NOW - 60 * 10**9), 3600 * 10**9
    steps = [(NOW + (n // 20) * YEAR + n * hour, n * hour) for n in range(80)]
    assert told(calendar, *steps) == [NOW + n * hour for n in range(80)]


@pytest.mark.parametrize(("seen", "first"), [(None, NOW), (NOW - DAY // 2, NOW), (NOW - YEAR, NOW - YEAR)])
def test_a_start_believes_the_clock_if_it_was_right_lately(seen, first):
    assert told(Calendar(seen), (NOW, 5)) == [first]
    assert told(Calendar(NOW + YEAR), (NOW, 5)) == [NOW + YEAR]


def test_a_clock_that_jumps_ahead_deletes_nothing(tmp_path, committer, monkeypatch):
    store, handoff, _ = committer
    now = time.time_ns()
    store.write([record("panic", "a", 1, n, (now - 1_700_000_000 * 10**9) // 10**9, SYSRQ) for n in (1, 2)])
    assert store.expire(Retention(days=30), now) == 0
    monkeypatch.setattr("time.time_ns", lambda: now + 9 * YEAR)
    again = Committer(handoff, store)
    again.retain(Retention(days=30))
    again._retain(2)
    assert again.counts["deleted by retention"] == 0
    assert store._db.execute("SELECT count(*) FROM records").fetchone()[0] == 2


def test_who_follows_misses_nothing_and_is_told_once_where_the_clock_was_ahead(tmp_path, monkeypatch):
    real = time.time_ns
    monkeypatch.setattr("panicast_receiver.db.follower.PATIENCE_S", 3600.0)
    with closing(Store(tmp_path)) as store:
        monkeypatch.setattr("time.time_ns", lambda: real() + 9 * YEAR)
        store.write([record("panic", "a", 1, 1, 0, SYSRQ)])
        follower = Follower(tmp_path)
        cursor = follower.reader().cursor()
        monkeypatch.setattr("time.time_ns", real)
        late = (time.time_ns() - 1_700_000_000 * 10**9) / 10**9
        store.write([record("panic", "a", 1, 2, int(late), SYSRQ)])
        # It is kept back until it is understood, as ever.
        assert follower.after(cursor, Query()) == [] and follower.held
        monkeypatch.setattr("panicast_receiver.db.follower.PATIENCE_S", 0.0)
        assert [entry.summary["event"] for entry in follower.after(cursor, Query())] == [2]
        follower.close()
    assert changes.age_s(int(time.time() * 1e6) + 10**12, time.time_ns() + 10**18) == float("inf")


def test_systemd_is_asked_for_time_while_an_older_file_is_brought_up_to_date(tmp_path):
    """A socket in the place of systemd's; the file is large enough to take a while."""
    state = tmp_path / "state"
    state.mkdir()
    with closing(sqlite3.connect(state / NAME)) as old:
        old.executescript((Path(__file__).parents[1] / "db/database-1.sql").read_text())
        columns = [row[1] for row in old.execute("PRAGMA table_info(records)")][3:]
        names = ", ".join("randomblob(16)" if name == "boot_id" else name for name in columns)
        old.execute(
            "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
            f"INSERT INTO records SELECT randomblob(20), hex(randomblob(6)), i, {names} "
            "FROM n, (SELECT * FROM records WHERE format = 'v1' AND type = 'panic' LIMIT 1)"
        )
        old.commit()
    said: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(0.2)
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                with contextlib.suppress(socket.timeout):
                    said.append(systemd.recv(4096))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            receiver = Receiver(state, prefix=("env", f"NOTIFY_SOCKET={tmp_path / 'notify'}"))
            wait_until(lambda: b"READY=1" in said)
            assert receiver.stop() == 0
        finally:
            done.set()
            thread.join()
    asked = said.index(b"EXTEND_TIMEOUT_USEC=60000000")
    assert asked < said.index(b"READY=1")
    with closing(Reader(state)) as reader:
        assert len(reader.select(Query(everything=True))) > 19000
    with closing(sqlite3.connect(state / f"{NAME}.schema-1")) as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (1,)
