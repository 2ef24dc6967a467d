# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that is damaged, or loses its name, is set aside; no record is lost by it."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from panicast_receiver.db import damage, schema
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.records.extents import Run
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.explainer import Explainer
from panicast_receiver.service.handoff import Handoff

from ..conftest import wait_until
from ..service.test_serve import records
from .test_fleet import record

PAGE = 4096


NAME = "panicast.db"


def filled(state, count=200, first=1):
    """A database of records with texts of their own of some pages each."""
    store = Store(state)
    store.write([with_text(first + number) for number in range(count)])
    store.close()
    return state / NAME


def with_text(number):
    """A panic whose text does not shrink."""
    text = random.Random(number).randbytes(9000)
    made = record("panic", f"h{number % 5}", number % 256, number, number)
    return replace(made, runs=(Run(0, text),), text_length=len(text))


def tear(path, number, page=PAGE):
    """Half of a page is what a write that was cut off left."""
    with path.open("r+b") as file:
        file.seek((number - 1) * page)
        file.write(b"\xa5" * (page // 2))


def aside(state):
    return damage.aside(state / NAME)


def committed(store, record):
    """The committer that wrote this record, and closed the store."""
    handoff = Handoff()
    handoff.put([record])
    handoff.close()
    committer = Committer(handoff, store)
    committer.run()
    store.close()
    return committer


@pytest.mark.parametrize("what", ["the first page", "a word", "records", "cursors"])
def test_a_service_that_finds_its_file_damaged_sets_it_aside_and_hears(serve, cli, tmp_path, big, what):
    path = filled(tmp_path / "state")
    with closing(sqlite3.connect(path)) as database:
        sql = "SELECT max(rootpage) FROM sqlite_master WHERE name = ?"
        (root,) = database.execute(sql, (what,)).fetchone()
    if what == "a word":
        # SQLite's complaint holds it, and so is no text.
        path.write_bytes(path.read_bytes().replace(b"CREATE TABLE", b"CREATE T\xc3BLE"))
    else:
        tear(path, 1 if what == "the first page" else root)
    receiver = serve("--syslog", "udp:127.0.0.1:9")
    receiver.send(big["frames"])
    receiver.wait_for("is damaged .*: it was set aside as panicast.db.damaged-.*recover")
    receiver.wait_for("record .* complete")
    assert [entry["complete"] for entry in records(cli)] == [True]
    (old,) = aside(tmp_path / "state")
    done = cli("recover")
    assert done.returncode == 0 and "records saved" in done.stdout, done.stderr
    assert (
        aside(tmp_path / "state") == [] and old.with_name(old.name.replace("damaged", "recovered")).exists()
    )
    assert len(records(cli)) > 150
    assert receiver.stop() == 0


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (UnicodeDecodeError("utf-8", b"T\xc3BLE", 1, 2, "invalid"), "malformed"),
        # Python 3.9 and 3.10
        (sqlite3.DatabaseError(), "malformed"),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
    ],
)
def test_a_complaint_that_is_no_text_is_one_of_damage(raised, said):
    class Raising(sqlite3.Connection):
        def execute(self, *_):
            raise raised

    class Tried(damage.Connection, Raising):
        pass

    with closing(Tried(":memory:")) as database, pytest.raises(sqlite3.DatabaseError, match=said):
        database.execute("SELECT 1")


def test_damage_that_comes_while_it_runs_costs_no_record(tmp_path):
    filled(tmp_path / "state")
    store = Store(tmp_path / "state")
    for number in range(1, store.path.stat().st_size // PAGE + 1):
        tear(store.path, number)
    # What SQLite still has in its memory is sound.
    store._db.execute("PRAGMA shrink_memory")
    committer = committed(store, with_text(250))
    assert not committer.failed and committer.counts["databases set aside"] == 1
    assert len(aside(tmp_path / "state")) == 1
    with closing(Reader(tmp_path / "state")) as reader:
        assert [entry.identity for entry in reader.select(Query())] == [with_text(250).identity]


def test_damage_that_only_a_reader_meets_is_looked_for(tmp_path):
    path = filled(tmp_path / "state")
    store = Store(tmp_path / "state")
    tear(path, path.stat().st_size // PAGE // 2)
    handoff = Handoff()
    committer = Committer(handoff, store)
    committer.suspect("a sink says so")
    committer.start()
    wait_until(lambda: aside(tmp_path / "state"))
    handoff.close()
    committer.join()
    store.close()


def test_the_new_file_gets_its_meanings_too(tmp_path):
    """Whoever looks for them has had the old one open."""
    store = Store(tmp_path / "state")
    explainer = Explainer(store.path)
    explainer.start()
    try:
        for number in (1, 2):
            store.write([with_text(number)])
            explainer.wake()
            wait_for_meaning(tmp_path / "state", with_text(number).identity)
            store.begin_anew(sqlite3.DatabaseError("malformed"))
    finally:
        explainer.stop()
        explainer.join()
        store.close()


def wait_for_meaning(state, identity):
    def known():
        with closing(Reader(state)) as reader:
            (entry,) = reader.select(Query())
            assert entry.identity == identity
            return entry.summary["meaning"] != "pending"

    wait_until(known)


def test_a_full_or_failing_disk_is_no_damage(tmp_path):
    path = filled(tmp_path / "state", 3)
    for words in ("database or disk is full", "disk I/O error", "database is locked"):
        assert not damage.is_damage(sqlite3.OperationalError(words), path)


def test_a_bad_sector_is_damage():
    # Its first bytes cannot be read: there is nothing at address 0.
    assert damage.is_damage(sqlite3.OperationalError("disk I/O error"), Path("/proc/self/mem"))


def test_files_set_aside_do_not_fill_the_disk(tmp_path):
    for number in range(damage.MOST_ASIDE + 3):
        (tmp_path / NAME).write_bytes(bytes(10 * (20 - number)))
        (tmp_path / f"{NAME}-wal").write_bytes(b"log")
        damage.set_aside(tmp_path / NAME)
    left = aside(tmp_path)
    assert [file.stat().st_size for file in left] == [200, 190, 180, 170, 160]
    assert len(list(tmp_path.iterdir())) == 2 * damage.MOST_ASIDE


def test_the_file_and_its_log_shrink_when_records_are_deleted(tmp_path):
    store = Store(tmp_path / "state")
    path, log = store.path, store.path.with_name(f"{NAME}-wal")
    made = [with_text(number) for number in range(1, 3001)]
    store.write(made)
    while store.shrink():
        pass
    full = path.stat().st_size
    assert full > 24 << 20 and log.stat().st_size <= schema.LOG_BYTES
    store.delete([one.identity for one in made[:2800]])
    assert log.stat().st_size > schema.LOG_BYTES or path.stat().st_size == full
    while store.shrink():
        pass
    assert path.stat().st_size < full / 3 and log.stat().st_size <= schema.LOG_BYTES
    store.close()
    with closing(Reader(tmp_path / "state")) as reader:
        assert len(reader.select(Query())) == 200


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced", "folder moved"])
def test_a_file_that_loses_its_name_is_noticed_and_a_new_one_begun(serve, cli, tmp_path, vectors, how):
    """Two records, one before and one after; follow and the explainer go on with the new file."""
    state, away = tmp_path / "state", tmp_path / "away.db"
    first, second = (
        v["frames"] for v in vectors if v["name"] in ("panic of many frames", "test in short frames")
    )
    receiver = serve()
    receiver.send(first)
    receiver.wait_for("record .* complete")
    if how == "folder moved":
        state.rename(tmp_path / "elsewhere")
        away = tmp_path / "elsewhere" / NAME
    elif how == "deleted":
        (state / NAME).unlink()
    else:
        (state / NAME).rename(away)
        if how == "replaced":
            filled(tmp_path / "other", 3).rename(state / NAME)
    receiver.wait_for(" was moved, deleted or replaced .*recover FILE")
    receiver.send(second)
    receiver.wait_for("record .* test .* complete")
    assert [entry["type"] for entry in records(cli) if entry["host"][:1] != "h"] == ["test"]
    wait_until(lambda: all(entry["meaning"] != "pending" for entry in records(cli)))
    if how != "deleted":
        # What was moved is whole by itself, and can be added.
        with closing(sqlite3.connect(f"file:{away}?mode=ro&immutable=1", uri=True)) as database:
            assert database.execute("SELECT type FROM records").fetchall() == [("panic",)]
        assert cli("recover", str(away)).returncode == 0
        assert {"panic", "test"} <= {entry["type"] for entry in records(cli)}
    assert receiver.stop() == 0
    with closing(sqlite3.connect(state / NAME)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_batch_that_went_into_a_deleted_file_is_written_again(tmp_path):
    store = Store(tmp_path / "state")
    store.path.unlink()
    committer = committed(store, with_text(1))
    assert not committer.failed and committer.counts["databases gone"] == 1
    with closing(Reader(tmp_path / "state")) as reader:
        assert [entry.identity for entry in reader.select(Query())] == [with_text(1).identity]


def test_looking_for_a_bad_sector_leaves_sqlite_its_locks(tmp_path):
    """Else another process takes the log of a database that is in use for a dead one's, and deletes it."""
    store = Store(tmp_path / "state")
    assert not damage.is_damage(sqlite3.OperationalError("disk I/O error"), store.path)
    words = (
        "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('SELECT * FROM boots'); d.close()"
    )
    subprocess.run([sys.executable, "-c", words, store.path], check=True)
    assert store.path.with_name(f"{NAME}-wal").exists()
    store.close()


def test_the_log_goes_before_its_file(tmp_path, monkeypatch):
    """Else a new file would take it for its own, if it is cut off in between."""
    for suffix in ("", "-wal"):
        (tmp_path / f"{NAME}{suffix}").touch()
    moved, rename = [], Path.rename

    def note_and_rename(path, target):
        moved.append(path.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", note_and_rename)
    damage.set_aside(tmp_path / NAME)
    assert moved == [f"{NAME}-wal", NAME]


def test_what_a_new_database_left_beside_it_does_not_get_into_the_older_one(tmp_path):
    path = tmp_path / NAME
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE one (number); INSERT INTO one VALUES (7)")
    older = damage.set_aside(path, damage.OLDER)
    # What is left of a transaction that began with an empty file, whose end the disk did not take.
    new = tmp_path / "new.db"
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.executescript("PRAGMA cache_size = 1; BEGIN; CREATE TABLE two (text)")
        db.execute("INSERT INTO two VALUES (zeroblob(100000))")
        journal = (tmp_path / "new.db-journal").read_bytes()
        content = new.read_bytes()
    path.write_bytes(content)
    path.with_name(f"{path.name}-journal").write_bytes(journal)
    damage.put_back(older, path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT number FROM one").fetchall() == [(7,)]
