# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a database: who may lock it, who owns what is in it, who makes a file there."""

import os
import tempfile
from pathlib import Path

import pytest

from panicast_receiver.db import folder, schema
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError
from panicast_receiver.sinks.cursors import feed_only

from .test_damage import NAME


def test_nobody_but_its_owner_may_lock_the_folder(tmp_path):
    """Who may read a file may lock it: the page's user, or a member of the group, could keep us from it."""
    (tmp_path / "serve.lock").touch(0o640)
    Store(tmp_path).close()
    assert (tmp_path / "serve.lock").stat().st_mode & 0o777 == 0o600


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


def test_only_who_keeps_the_folder_makes_a_database(tmp_path):
    for opened in (schema.open_writer, Meanings):
        with pytest.raises(ReceiverError, match="no records here"):
            opened(tmp_path / NAME)
    with pytest.raises(ReceiverError, match="no records here"):
        feed_only(tmp_path, ["syslog"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user")
def test_a_lock_that_root_makes_is_the_services():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        os.chown(place, 12345, 12346)
        with folder.locked(Path(place)):
            assert (Path(place) / folder.LOCK).stat().st_uid == 12345


def test_who_worked_as_the_service_has_its_own_umask_again(tmp_path):
    before = os.umask(0o022)
    try:
        with folder.as_the_services(tmp_path):
            assert os.umask(0o027) == 0o027
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
