# SPDX-License-Identifier: GPL-2.0-or-later
"""Where labels come from: a file or a program, at the start, at a reload, in a new database."""

import os
import signal
from contextlib import closing

import pytest

from panicast_receiver.db import schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.errors import UsageError
from panicast_receiver.records.labels import Rule
from panicast_receiver.service import labeller
from panicast_receiver.service.labeller import Labeller, Source, source_of

from ..conftest import wait_until
from ..db.test_fleet import START, record


@pytest.fixture
def state(tmp_path):
    """A database that knows one host."""
    folder = tmp_path / "state"
    with closing(Store(folder)) as store:
        store.write([record("hello", "db-1", 1, 1, 0)])
    return folder


def has(folder):
    with closing(Reader(folder)) as reader:
        return {one["host"]: one["labels"] for one in reader.hosts(Ages(900), START)}


def program(tmp_path, text):
    path = tmp_path / "inventory"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_a_file_is_read_at_once(tmp_path):
    path = tmp_path / "labels"
    path.write_text("db-* rack=r12\n")
    assert source_of(str(path)) == Source(str(path), [Rule("db-*", "rack", "r12")])
    assert source_of("") == Source()
    path.write_text("db-* rack")
    with pytest.raises(UsageError, match=f"labels: {path}: line 1: 'rack' is not a label"):
        source_of(str(path))
    path.write_bytes(b"db-* rack=\xff\n")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        source_of(str(path))
    path.unlink()
    with pytest.raises(UsageError, match=f"labels: cannot read {path}: No such file"):
        source_of(str(path))


def test_what_has_no_end_is_not_read_to_it(tmp_path):
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 1 << 40)
    with pytest.raises(UsageError, match=f"labels: {large}: more than 16 MiB"):
        source_of(str(large))
    with pytest.raises(UsageError, match="labels: cannot read /dev/zero: it is a pipe or a device"):
        source_of("/dev/zero")


def test_a_program_gives_them_and_what_it_says_wrong_changes_nothing(tmp_path, state, caplog, monkeypatch):
    monkeypatch.setattr(labeller, "MOST_BYTES", 1 << 20)
    thread = Labeller(state / schema.FILE_NAME)

    def follow(text):
        thread.follow(source_of(program(tmp_path, text)), ())
        return thread._work()

    assert follow('echo "db-* rack=r12"') and has(state) == {"db-1": {"rack": "r12"}}
    for text, words in (
        ("exit 3", "inventory ended with code 3"),
        ("echo db-1 rack", "line 1: 'rack' is not a label"),
        ("yes db-1 rack=r12", "inventory said more than 1 MiB"),
        ("exec /nothing/there", "inventory ended with code 127"),
    ):
        assert not follow(text) and not thread._work()
        # Said once, however often it is tried.
        assert sum(words in one.getMessage() for one in caplog.records) == 1, caplog.text
        assert has(state) == {"db-1": {"rack": "r12"}}
    assert follow("true") and has(state) == {"db-1": {}}


def test_a_program_that_failed_is_run_again(tmp_path, state, monkeypatch):
    monkeypatch.setattr(labeller, "LOOK_S", 0.01)
    monkeypatch.setattr(labeller, "RETRY_S", 0.01)
    thread = Labeller(state / schema.FILE_NAME)
    thread.follow(source_of(program(tmp_path, f"test -e {tmp_path}/up && echo '* rack=r12'")), ())
    thread.start()
    try:
        wait_until(lambda: "ended with code" in thread._complaint)
        (tmp_path / "up").touch()
        wait_until(lambda: has(state) == {"db-1": {"rack": "r12"}})
    finally:
        thread.stop()
        thread.join()


def test_a_program_reads_nothing_that_is_hidden(tmp_path, state):
    secret = tmp_path / "secret"
    secret.write_text("key")
    thread = Labeller(state / schema.FILE_NAME)
    thread.follow(
        source_of(program(tmp_path, f"cat {secret} > /dev/null && echo 'db-1 read=yes'\ntrue")), [secret]
    )
    assert thread._work()
    if labeller.confined.landlock_version():
        assert has(state) == {"db-1": {}}


def test_a_new_database_gets_them_too(tmp_path, state, monkeypatch):
    monkeypatch.setattr(labeller, "LOOK_S", 0.01)
    monkeypatch.setattr(labeller, "RETRY_S", 0.01)
    (tmp_path / "labels").write_text("* rack=r12")
    thread = Labeller(state / schema.FILE_NAME)
    thread.follow(source_of(str(tmp_path / "labels")), ())
    thread.start()
    try:
        wait_until(lambda: has(state) == {"db-1": {"rack": "r12"}})
        state.rename(tmp_path / "old")
        with closing(Store(state)) as store:
            store.write([record("hello", "web-1", 2, 1, 0)])
        wait_until(lambda: has(state) == {"web-1": {"rack": "r12"}})
    finally:
        thread.stop()
        thread.join()


def test_a_reload_reads_them_again_and_a_wrong_file_changes_nothing(serve, tmp_path, big):
    path = tmp_path / "labels"
    path.write_text("* rack=r12\n")
    receiver = serve("--labels", str(path))
    receiver.send(big["frames"])
    receiver.wait_for("complete")

    with closing(Reader(receiver.state_dir)) as reader:
        (host,) = {one.summary["host"] for one in reader.select(Query())}
    wait_until(lambda: record_of(receiver.state_dir) == {"rack": "r12"})
    path.write_text("* rack\n")
    receiver.process.send_signal(signal.SIGHUP)
    receiver.wait_for("the settings stay as they are: labels: .*line 1")
    assert record_of(receiver.state_dir) == {"rack": "r12"}
    path.write_text(f"{host} owner=dba\n")
    receiver.process.send_signal(signal.SIGHUP)
    wait_until(lambda: record_of(receiver.state_dir) == {"owner": "dba"})
    assert receiver.stop() == 0


def record_of(folder):
    """The labels of the newest record."""
    with closing(Reader(folder)) as reader:
        return reader.select(Query())[-1].summary["labels"]
