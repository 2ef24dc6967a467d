# SPDX-License-Identifier: GPL-2.0-or-later
"""What a feeder passes on of hosts, and what it leaves behind: no failure keeps it busy, no file open."""

from contextlib import closing
from pathlib import Path

from panicast_receiver.db.store import Store
from panicast_receiver.sinks import cursors, feeder
from panicast_receiver.sinks.feeder import Feeder

from ..conftest import PATIENCE_S, wait_until
from ..db.test_fleet import record
from ..meaning.test_crash import SYSRQ
from .conftest import write
from .test_feeder import Recorder, hurry  # noqa: F401


class Registrar(Recorder):
    """A sink that is told of hosts, too, and takes them not at first."""

    def __init__(self, error):
        super().__init__()
        self.error, self.heard, self.expired = error, [], 0

    def hear(self, hosts):
        self.heard.append(sorted(one["host"] for one in hosts))
        if self.error:
            raise self.error

    def expire(self):
        self.expired += 1


def of(path):
    """How often this process has a file open whose name begins so."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sum(str(link.readlink()).startswith(str(path)) for link in links)


def test_who_does_not_take_hosts_is_not_asked_at_once_again_and_gets_records(store, tmp_path, monkeypatch):
    monkeypatch.setattr(feeder, "HOSTS_S", 0.02)
    monkeypatch.setattr(feeder, "HOSTS_RETRY_S", 3600.0)
    sink = Registrar(OSError("away"))
    thread = Feeder(sink, tmp_path)
    thread.start()
    write(store, record("hello", "a", 1, 1, 1))
    wait_until(lambda: sink.heard)
    for number in range(2, 5):
        write(store, record("panic", "a", 1, number, number, SYSRQ), record("hello", "b", 2, number, number))
        wait_until(lambda number=number: len(sink.got) >= number - 1)
    thread.stop()
    thread.join(PATIENCE_S)
    assert len(sink.heard) == 1


def test_whoever_resends_moves_nobody_ahead(store, tmp_path):
    """What was not told yet is told, whatever somebody wants to have again."""
    write(store, *(record("panic", "a", 1, number, number, SYSRQ) for number in (1, 2, 3)))
    before = cursors.begin(store._db, "slow", 0)
    assert cursors.rewind(tmp_path, "slow", record("panic", "a", 1, 3, 3).received_ns) == 1
    assert cursors.begin(store._db, "slow") == before


def test_a_feeder_that_ended_has_no_file_open(tmp_path):
    sink = Recorder()
    with closing(Store(tmp_path)) as store:
        thread = Feeder(sink, tmp_path)
        thread.start()
        write(store, record("panic", "a", 1, 1, 1, SYSRQ))
        wait_until(lambda: sink.got)
        thread.stop()
        thread.join(PATIENCE_S)
    # SQLite closes no file while this process holds a lock on it by another connection.
    assert thread.counts["delivered"] == 1 and of(tmp_path) == 0


def test_a_complaint_without_an_end_is_kept_in_part(store):
    cursors.begin(store._db, "a", 0)
    cursors.complain(store._db, "a", "x" * 100_000)
    (kept,) = store._db.execute("SELECT complaint FROM cursors").fetchone()
    assert kept == "x" * 300
    cursors.move(store._db, "a", 0, 1, [], [(b"i", "y" * 100_000)])
    assert store._db.execute("SELECT reason FROM aside").fetchone()[0] == "y" * 300
