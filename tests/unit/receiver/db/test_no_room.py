# SPDX-License-Identifier: GPL-2.0-or-later
"""A start, and an upgrade, on a disk that has no room for it."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from panicast_receiver.cli.operations import recover
from panicast_receiver.db import damage
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.schema import FILE_NAME as NAME
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError
from panicast_receiver.log import logger

from ..conftest import OWN_PORT, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small disk")

#: Bytes of the disk for each of the file.
TIGHT, ROOMY = 3, 8


@pytest.fixture
def disk(tmp_path):
    """A small disk, and what it has an older database of: its bytes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "panicast", tmp_path], check=True)
    try:
        path = tmp_path / NAME
        with closing(sqlite3.connect(path)) as old:
            old.execute("PRAGMA journal_mode = WAL")
            old.executescript((Path(__file__).parent / "database-2.sql").read_text())
            old.execute("UPDATE records SET body = randomblob(200000)")
            old.commit()
        yield tmp_path, path.read_bytes()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.fixture
def full(tmp_path):
    """A small disk without room."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "panicast", folder], check=True)
    try:
        fill(folder)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as file, pytest.raises(OSError):
        while file.write(bytes(4096)) == 4096:
            pass


def names(folder):
    """What is there, but for SQLite's log and the index of that."""
    return {file.name for file in folder.iterdir()} - {f"{NAME}-wal", f"{NAME}-shm"}


def listed(folder):
    with closing(Reader(folder)) as reader:
        return sorted(entry.summary["host"] for entry in reader.select(Query(everything=True)))


def test_the_service_starts_and_nothing_is_lost(disk, caplog, monkeypatch, capsys):
    folder, old = disk
    monkeypatch.setattr(logger, "propagate", True)
    resize(folder, TIGHT * len(old))
    with closing(Store(folder)):
        (aside,) = damage.aside(folder / NAME)
        assert aside.read_bytes() == old and listed(folder) == []
        assert names(folder) == {NAME, "serve.lock", aside.name}
    assert "no room to upgrade" in caplog.text and "recover" in caplog.text and aside.name in caplog.text
    # Who starts once more goes on with the new one.
    Store(folder).close()
    assert damage.aside(folder / NAME) == [aside]
    resize(folder, ROOMY * len(old))
    assert recover(folder, []) == 0
    assert listed(folder) and "0 records saved" not in capsys.readouterr().out
    assert (
        damage.aside(folder / NAME) == []
        and aside.with_name(aside.name.replace("older", "recovered")).exists()
    )


def test_with_room_for_the_upgrade_alone_there_is_no_copy(disk, caplog, monkeypatch):
    folder, old = disk
    monkeypatch.setattr(logger, "propagate", True)
    resize(folder, 11 * len(old) // 2)
    Store(folder).close()
    assert names(folder) == {NAME, "serve.lock"}
    assert listed(folder) and "without a copy" in caplog.text


@pytest.mark.parametrize("estimate", [0, 4])
def test_with_no_room_at_all_the_file_stays_as_it_was(disk, monkeypatch, estimate):
    """Also if it is noticed only in the middle."""
    folder, old = disk
    monkeypatch.setattr("panicast_receiver.db.migration._UPGRADE", estimate)
    (folder / "serve.lock").touch()
    fill(folder)
    for _ in range(2):
        with pytest.raises(ReceiverError, match="no room"):
            Store(folder)
        assert (folder / NAME).read_bytes() == old
        assert names(folder) == {NAME, "serve.lock", "filler"}


def test_an_upgrade_that_runs_out_of_room_leaves_no_copy(disk, monkeypatch):
    folder, old = disk
    monkeypatch.setattr("panicast_receiver.db.migration._UPGRADE", 0)
    resize(folder, 3 * len(old))
    with closing(Store(folder)):
        (aside,) = damage.aside(folder / NAME)
        assert aside.read_bytes() == old and not (folder / f"{NAME}.schema-2").exists()


def test_a_service_without_room_for_a_database_hears_and_waits_for_it(full, serve, big):
    """It ended, and was started again every two seconds: what came was lost."""
    receiver = serve("--listen", f"{own_address()}:{OWN_PORT}", state_dir=full, ready=False)
    receiver.wait_for("no room to write .*; trying again until it works")
    receiver.host, receiver.port = own_address(), OWN_PORT
    receiver.send(big["frames"])
    resize(full, "64m")
    receiver.wait_until_ready()
    receiver.wait_for(r"record \w{12} panic .*complete")
    assert sum("no room" in line for line in receiver.log) == 1
    assert receiver.stop() == 0


def test_a_service_that_waits_for_room_can_be_stopped(full, serve):
    receiver = serve(state_dir=full, ready=False)
    receiver.wait_for("no room to write")
    assert receiver.stop() == 0


def test_a_service_starts_on_a_disk_that_has_become_full(full, serve):
    """It needs no more than the index of its log. Then it may delete what the limits no longer keep."""
    resize(full, "8m")
    hook = ("--hook", "/bin/true")
    assert serve(*hook, state_dir=full).stop() == 0
    with pytest.raises(OSError), (full / "filler").open("ab", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass
    os.truncate(full / "filler", (full / "filler").stat().st_size - (40 << 10))
    receiver = serve(*hook, state_dir=full)
    assert not any("no room" in line for line in receiver.log)
    assert receiver.stop() == 0
