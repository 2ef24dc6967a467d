# SPDX-License-Identifier: GPL-2.0-or-later
"""Backups, and the copy that an upgrade keeps."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from panicast_receiver.db import backups, damage, migration
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.store import Store
from panicast_receiver.log import logger

from ..conftest import wait_until
from ..service.test_serve import records
from .test_damage import NAME, PAGE, filled, tear, with_text


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


def test_of_a_damaged_database_no_backup_is_left(tmp_path):
    """It would be taken for a good one when it is needed."""
    path = filled(tmp_path / "state", 20)
    assert backups.backup(path, tmp_path / "good.db") == 20
    tear(path, path.stat().st_size // PAGE)
    with pytest.raises(damage.DamagedError, match="no backup of it was made"):
        backups.backup(path, tmp_path / "saved.db")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["good.db", "state"]


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
