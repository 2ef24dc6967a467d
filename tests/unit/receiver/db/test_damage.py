# SPDX-License-Identifier: GPL-2.0-or-later
"""A database that is damaged is set aside, and what is in it saved; backups; a file that shrinks."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from panicast_receiver.db import backups, damage, folder, groups, migration, salvage, schema
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.packing import unpack_body
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store, row_to_record
from panicast_receiver.errors import ReceiverError
from panicast_receiver.log import logger
from panicast_receiver.records.extents import Run
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.explainer import Explainer
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.sinks.cursors import feed_only

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


def test_each_row_on_a_sound_page_is_saved_whatever_the_others_hold(tmp_path):
    path = filled(tmp_path / "state")
    with closing(Reader(tmp_path / "state")) as reader:
        texts = {e.identity: reader.load(e).received_text for e in reader.select(Query())}
    pages = path.stat().st_size // PAGE
    for seed in range(20):
        damaged = tmp_path / f"{seed}.db"
        damaged.write_bytes(path.read_bytes())
        torn = random.Random(seed).sample(range(1, pages + 1), 3)
        for number in torn:
            tear(damaged, number)
        found = {row["identity"]: row_to_record(row) for row in salvage.rows(damaged)}
        whole = [one for one, entry in found.items() if entry.complete]
        assert all(found[one].received_text == texts[one] for one in whole)
        # A torn leaf costs the rows on it, a torn page of a text that text: a few each.
        assert len(whole) >= len(texts) - 3 * 20, (seed, torn, len(whole))
        assert set(found) <= set(texts)


@pytest.mark.parametrize("wrong", [b"bytes", "text", 7, 0.5, 1 << 62, -1])
def test_a_value_of_another_kind_costs_its_row_at_most(tmp_path, wrong):
    with closing(Store(tmp_path / "state")) as store:
        names = [row[1] for row in store._db.execute("PRAGMA table_info(records)")]
        store.write([with_text(number) for number in range(1, len(names) + 1)])
    with closing(sqlite3.connect(store.path)) as database, database:
        for number, name in enumerate(names, 1):
            if name not in ("number", "changed"):
                database.execute(
                    f"UPDATE OR IGNORE records SET {name} = ? WHERE event = ?",
                    (wrong, with_text(number).event),
                )
    again = Store(tmp_path / "again")
    outcomes = [one.outcome for one in again.write([row_to_record(row) for row in salvage.rows(store.path)])]
    again.close()
    assert len(outcomes) > len(names) / 2 and outcomes.count("new") > len(outcomes) - 4


@pytest.mark.timeout(20)
def test_a_file_with_a_view_that_never_ends_has_no_decisions(tmp_path):
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    columns = "i AS signature, i AS state, i AS by, i AS since_ns, i AS moment_ns, i AS kernels"
    path = tmp_path / "panicast.db.older-x"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE VIEW group_states AS {endless} SELECT {columns} FROM n")
    assert salvage.decided(path) == groups.Decided([], [])


@pytest.mark.parametrize("content", [b"", b"records", b"SQLite format 3\0", bytes(3 * PAGE)])
def test_what_holds_nothing_is_an_error_or_no_rows(tmp_path, content):
    path = tmp_path / "x.db"
    path.write_bytes(content)
    try:
        assert list(salvage.rows(path)) == []
    except salvage.ReceiverError as error:
        assert str(path) in str(error)


def test_what_was_deleted_is_not_recovered(tmp_path):
    path = filled(tmp_path / "state")
    store = Store(tmp_path / "state")
    gone = [with_text(number).identity for number in range(1, 101)]
    store.delete(gone)
    store.close()
    assert {row["identity"] for row in salvage.rows(path)}.isdisjoint(gone)
    assert len(list(salvage.rows(path))) == 100


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


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END", "a trigger 't'"),
        ("DROP TABLE boots; CREATE VIEW boots AS SELECT 1", "a view 'boots'"),
        ("ALTER TABLE aside ADD COLUMN x", "['aside']"),
        ("DROP TABLE cursors", "['cursors']"),
        ("UPDATE counters SET value = 9223372036854775807 WHERE name = 'changed'", "counted wrong"),
        ("DELETE FROM counters", "do not say what ours do"),
    ],
)
def test_what_no_receiver_wrote_is_not_restored(cli, tmp_path, sql, what):
    """It would do what whoever made it wants, or keep the service from storing anything."""
    with closing(Store(tmp_path / "state")) as store:
        store.write([with_text(1)])
    saved = tmp_path / "saved.db"
    assert cli("backup", str(saved)).returncode == 0
    with closing(sqlite3.connect(saved)) as db:
        db.executescript(sql)
    done = cli("restore", str(saved))
    assert done.returncode == 1 and what in done.stderr and "recover" in done.stderr, done.stderr
    with closing(Store(tmp_path / "state")) as store:
        assert store.write([with_text(2)])[0].outcome == "new"


def test_nobody_but_its_owner_may_lock_the_folder(tmp_path):
    """Who may read a file may lock it: the page's user, or a member of the group, could keep us from it."""
    (tmp_path / "serve.lock").touch(0o640)
    Store(tmp_path).close()
    assert (tmp_path / "serve.lock").stat().st_mode & 0o777 == 0o600


def test_backup_and_restore_while_the_service_runs_and_not(serve, cli, tmp_path, big):
    receiver = serve()
    receiver.send(big["frames"])
    receiver.wait_for("record .* complete")
    with closing(Meanings(tmp_path / "state" / NAME)) as meanings:
        # A backup from before the crash has its name is another than the records of later.
        wait_until(lambda: not meanings.waiting())
    saved = tmp_path / "saved.db"
    done = cli("backup", str(saved))
    assert done.returncode == 0 and done.stdout.startswith("1 records in "), done.stderr
    assert saved.stat().st_mode & 0o777 == 0o600
    again = cli("backup", str(saved))
    assert again.returncode == 1 and "exists" in again.stderr
    refused = cli("restore", str(saved))
    assert refused.returncode == 1 and "systemctl stop panicast-receiver" in refused.stderr
    before = records(cli)
    receiver.stop()
    assert cli("prune", "--per-host", "0").returncode == 0 and records(cli) == []
    done = cli("restore", str(saved))
    assert done.returncode == 0 and "start the service" in done.stdout, done.stderr
    assert records(cli) == before
    assert (tmp_path / "state" / NAME).stat().st_mode & 0o777 == 0o640
    assert [file.name for file in (tmp_path / "state").iterdir() if file.name.startswith(".")] == []
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(saved.read_bytes()[: 5 * PAGE])
    refused = cli("restore", str(damaged))
    assert refused.returncode == 1 and "damaged" in refused.stderr and records(cli) == before


def test_an_older_file_is_kept_as_it_was_and_time_is_asked_for(cli, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    old = sqlite3.connect(state / NAME)
    old.executescript((Path(__file__).parent / "database-1.sql").read_text())
    old.close()
    beats = []
    Store(state, beat=lambda: beats.append(1)).close()
    kept = state / f"{NAME}.schema-1"
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        count = database.execute("SELECT count(*) FROM records").fetchone()[0]
    assert count == len(records(cli, "--all")) and beats
    with closing(sqlite3.connect(state / NAME)) as database:
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    # The way back.
    assert cli("restore", str(kept)).returncode == 0
    with closing(sqlite3.connect(state / NAME)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user")
def test_what_root_makes_is_the_services():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        state = Path(place) / "state"
        state.mkdir(mode=0o750)
        os.chown(state, 12345, 12346)
        with folder.as_the_services(state):
            Store(state, exclusive=False).close()
        for file in state.iterdir():
            found = file.stat()
            assert (found.st_uid, found.st_gid, found.st_mode & 0o7) == (12345, 12346, 0), file
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_a_missing_folder_is_an_error_and_makes_no_database(cli, tmp_path):
    done = cli("import", str(tmp_path / "nothing"))
    assert done.returncode == 1 and "nothing" in done.stderr and "does not exist" in done.stderr
    assert cli("prune", "--per-host", "3").returncode == 1
    assert not (tmp_path / "state").exists()
    assert "no records here" in cli("list").stderr


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


def test_only_who_keeps_the_folder_makes_a_database(tmp_path):
    for opened in (schema.open_writer, Meanings):
        with pytest.raises(ReceiverError, match="no records here"):
            opened(tmp_path / NAME)
    with pytest.raises(ReceiverError, match="no records here"):
        feed_only(tmp_path, ["syslog"])
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user")
def test_a_lock_that_root_makes_is_the_services():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        os.chown(place, 12345, 12346)
        with folder.locked(Path(place)):
            assert (Path(place) / folder.LOCK).stat().st_uid == 12345


@pytest.mark.parametrize("what", ["sound", "torn"])
def test_a_file_of_an_older_version_is_recovered_under_the_names_of_now(cli, tmp_path, what):
    """Damaged when the service was to bring it up to date; also where it no longer says its columns."""
    (tmp_path / "state").mkdir()
    for file in (tmp_path / what, tmp_path / "state" / NAME):
        with closing(sqlite3.connect(file)) as database:
            database.executescript((Path(__file__).parent / "database-1.sql").read_text())
    if what == "torn":
        tear(tmp_path / what, 1, page=200)
    Store(tmp_path / "state").close()
    Store(tmp_path / "new").close()
    done = cli("recover", str(tmp_path / what), state_dir=tmp_path / "new")
    assert done.returncode == 0, done.stderr
    found = json.loads(cli("list", "--all", "--json", state_dir=tmp_path / "new").stdout)
    assert {entry["identity"] for entry in found} == {entry["identity"] for entry in records(cli, "--all")}


def test_columns_stand_in_the_same_order_in_a_new_file_and_in_one_of_an_older_version(tmp_path):
    """A row whose file no longer says its columns is read by that order."""
    columns = []
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        if name == "old":
            database = sqlite3.connect(tmp_path / name / NAME)
            database.executescript((Path(__file__).parent / "database-1.sql").read_text())
            database.close()
        Store(tmp_path / name).close()
        with closing(sqlite3.connect(tmp_path / name / NAME)) as database:
            columns.append([row[1:3] for row in database.execute("PRAGMA table_info(records)")])
    assert columns[0] == columns[1]


@pytest.mark.parametrize(
    "gaps", ["no JSON", "7", "[[5]]", "[[0, 99999999]]", "[[10, 5], [0, 5]]", "[" * 100000]
)
def test_a_row_that_cannot_be_decoded_costs_nobody_else(serve, cli, tmp_path, big, gaps):
    """It is listed, its text is missing; what comes after it is stored, shown and understood."""
    state = tmp_path / "state"
    with closing(Store(state)) as store:
        store.write([with_text(1), with_text(2)])
    with closing(sqlite3.connect(state / NAME)) as database, database:
        database.execute(
            "UPDATE records SET gaps = ?, crash = '{' WHERE identity = ?", (gaps, with_text(1).identity)
        )
        database.execute("UPDATE records SET text_length = 'x' WHERE identity = ?", (with_text(2).identity,))
    receiver = serve()
    receiver.send(big["frames"])
    receiver.wait_for("record .* complete")
    with closing(Reader(state)) as reader:
        asked = Query(host="web-eu-1.example.net")
        wait_until(lambda: reader.select(asked)[0].summary["meaning"] != "pending")
    assert receiver.stop() == 0
    assert len(records(cli)) >= 2
    assert cli("recover", str(state / NAME)).returncode == 1


def test_a_text_takes_no_more_memory_than_it_has_bytes_whichever_bit_of_it_has_changed():
    """The size that compressed bytes say they expand to is allocated at once."""
    sound = zstandard.ZstdCompressor().compress(b"x" * 70_000)
    for bit in range(8 * 14):
        body = bytearray(sound)
        body[bit // 8] ^= 1 << bit % 8
        assert sum(len(run.data) for run in unpack_body(bytes(body), [], 70_000)) <= 70_000
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    assert unpack_body(bomb, [], 10) == unpack_body(bomb, [], 1 << 60) == ()


def test_a_copy_has_its_name_when_it_is_on_the_disk(tmp_path, monkeypatch):
    path, target = filled(tmp_path / "state", 3), tmp_path / "saved.db"
    synced, sync = [], os.fsync

    def note_and_sync(descriptor):
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), target.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note_and_sync)
    backups.backup(path, target)
    assert synced == [(tmp_path / ".saved.db.new", False), (tmp_path, True)]


def test_an_older_file_without_room_for_a_copy_is_upgraded_all_the_same(tmp_path, monkeypatch, caplog):
    """A service that does not start hears nothing."""
    monkeypatch.setattr(logger, "propagate", True)
    with closing(sqlite3.connect(tmp_path / NAME)) as old:
        old.executescript((Path(__file__).parent / "database-1.sql").read_text())
    usage = SimpleNamespace(total=1 << 30, free=(tmp_path / NAME).stat().st_size * 9 // 2)
    monkeypatch.setattr(migration.shutil, "disk_usage", lambda _: usage)
    Store(tmp_path).close()
    assert not (tmp_path / f"{NAME}.schema-1").exists() and "without a copy" in caplog.text


def test_who_worked_as_the_service_has_its_own_umask_again(tmp_path):
    before = os.umask(0o022)
    try:
        with folder.as_the_services(tmp_path):
            assert os.umask(0o027) == 0o027
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


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
