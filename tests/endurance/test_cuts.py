# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever changes the database as a whole is cut off at one step after the other: nothing that was kept is
lost, and the next start goes on with it."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from panicast_build.core import tools
from panicast_receiver.db import damage, schema
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.records.extents import Run
from panicast_receiver.records.record import Record, Source
from panicast_receiver.sinks import cursors

NAME = "panicast.db"
HOSTS, EACH, KEPT = 3, 12, 4
#: Cuts of each: at the first and the last step, and between.
CUTS = 16
OLD = Path(__file__).parents[1] / "unit/receiver/db/database-1.sql"
NEW = 1000

_BEGIN = f"""
import sys, time
from contextlib import closing
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from panicast_receiver.db import backups
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
folder = Path(sys.argv[1])
"""
_START = "Store(folder).close()\n"
_PRUNE = f"""
with closing(Store(folder)) as store:
    while store.expire(Retention(per_host={KEPT}), time.time_ns(), 3):
        pass
"""
_REFUSE = """
from panicast_receiver.sinks import Refused
from panicast_receiver.sinks.feeder import Feeder
class Sink:
    name, most = "sink", 1
    def deliver(self, batch):
        raise Refused("no")
feeder = Feeder(Sink(), folder)
feeder._deliver_all()
"""
_RESTORE = 'backups.restore(folder / "saved", folder / "panicast.db")\n'


def made(number: int) -> Record:
    """A record with a text that does not shrink."""
    text = random.Random(number).randbytes(9000)
    return Record(
        identity=number.to_bytes(20, "big"),
        format="raw",
        type="panic",
        header_host=f"host-{number % HOSTS}",
        boot_id=None,
        event=None,
        flags=0,
        frames=1,
        time_ns=number,
        received_ns=number,
        text_length=len(text),
        metadata=b"",
        runs=(Run(0, text),),
        source=Source(),
    )


def fill(folder: Path, first: int = 1) -> None:
    """A database with records."""
    with closing(Store(folder)) as store:
        store.write([made(number) for number in range(first, first + HOSTS * EACH)])


def with_sink(folder: Path) -> None:
    """A few, none of which a sink has been told of."""
    with closing(Store(folder)) as store:
        cursors.begin(store._db, "sink", 0)
        store.write([made(number) for number in range(1, 9)])


def older(folder: Path) -> None:
    """One of an older version."""
    with closing(sqlite3.connect(folder / NAME)) as db:
        db.executescript(OLD.read_text())


def damaged(folder: Path) -> None:
    """One whose first page is torn."""
    fill(folder)
    with (folder / NAME).open("r+b") as file:
        file.write(b"\xa5" * 2048)


def with_backup(folder: Path) -> None:
    """One, and a backup of others."""
    fill(folder, NEW)
    (folder / NAME).rename(folder / "saved")
    fill(folder)


def numbers(path: Path) -> set[int]:
    """The records in a database, each of which has its text."""
    found = set()
    folder = path.parent / "look"
    folder.mkdir()
    shutil.copy(path, folder / NAME)
    with closing(Reader(folder)) as reader:
        for entry in reader.select(Query()):
            number = int.from_bytes(entry.identity, "big")
            assert reader.load(entry).received_text == random.Random(number).randbytes(9000)
            found.add(number)
    shutil.rmtree(folder)
    return found


def pruned_in_part(folder: Path) -> None:
    """What is to be kept is there; the rest of the work can be done."""
    ours = set(range(1, 1 + HOSTS * EACH))
    newest = set(sorted(ours)[-HOSTS * KEPT :])
    assert newest <= numbers(folder / NAME) <= ours
    with closing(Store(folder)) as store:
        while store.expire(Retention(per_host=KEPT), time.time_ns()):
            pass
        # What is deleted is not stored again, whoever sends it.
        assert {stored.outcome for stored in store.write([made(number) for number in ours])} == {"known"}
    assert numbers(folder / NAME) == newest


def is_new(db: sqlite3.Connection) -> bool:
    """Whether a database has been brought up to date."""
    return db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


def upgraded(folder: Path) -> None:
    """All that was in it is there, and the copy, if there is one, is the older file."""
    with closing(sqlite3.connect(":memory:")) as before:
        before.executescript(OLD.read_text())
        (count,) = before.execute("SELECT count(*) FROM records").fetchone()
    for path in (folder / NAME, folder / f"{NAME}.schema-1"):
        if path.exists() or path.name == NAME:
            with closing(sqlite3.connect(path)) as db:
                # hello and bye were records.
                tables = ["records", "greetings"] if path.name == NAME and is_new(db) else ["records"]
                found = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
                assert sum(found) == count
                assert damage.sound(db)


def set_aside(folder: Path) -> None:
    """A new file takes records; the damaged one is there for `recover`, whole as it was."""
    with closing(Store(folder)) as store:
        assert store.write([made(NEW)])[0].outcome == "new"
    assert numbers(folder / NAME) == {NEW}
    (old,) = damage.aside(folder / NAME)
    assert old.read_bytes()[:2048] == b"\xa5" * 2048


def refused(folder: Path) -> None:
    """What is not set aside the sink is told of again."""
    query = (
        "SELECT identity FROM records WHERE changed > (SELECT changed FROM cursors) "
        "UNION SELECT identity FROM aside WHERE reason = 'no'"
    )
    with closing(sqlite3.connect(folder / NAME)) as db:
        found = {int.from_bytes(row[0], "big") for row in db.execute(query)}
    assert found == set(range(1, 9))


def restored(folder: Path) -> None:
    """The old one and the backup are both there, one of them in use."""
    ours, theirs = set(range(1, 1 + HOSTS * EACH)), set(range(NEW, NEW + HOSTS * EACH))
    replaced = [path for path in folder.glob(f"{NAME}.replaced-*") if path.suffix not in ("-wal", "-shm")]
    used = numbers(folder / NAME)
    assert (used == theirs and [numbers(path) for path in replaced] == [ours]) or used in (ours, set())
    if not used:
        assert [numbers(path) for path in replaced] == [ours]
    assert numbers(folder / "saved") == theirs


class Change(NamedTuple):
    """What changes the database of ``begin``, and what is true however far it came and the service began."""

    begin: Callable[[Path], None]
    script: str
    check: Callable[[Path], None]


CHANGES = {
    "retention": Change(fill, _PRUNE, pruned_in_part),
    "upgrade": Change(older, _START, upgraded),
    "set aside": Change(damaged, _START, set_aside),
    "refused by a sink": Change(with_sink, _REFUSE, refused),
    "restore": Change(with_backup, _RESTORE, restored),
}


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is preloaded."""
    tools.need("gcc")
    made_here = tmp_path_factory.mktemp("cut") / "cut.so"
    source = Path(__file__).with_name("cut.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", made_here, source], check=True)
    return made_here


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_cut_off(name: str, library: Path, tmp_path: Path) -> None:
    change = CHANGES[name]
    first = tmp_path / "first"
    first.mkdir()
    change.begin(first)

    def run(folder: Path, cut_at: int) -> subprocess.CompletedProcess[str]:
        shutil.copytree(first, folder)
        return subprocess.run(
            [sys.executable, "-c", _BEGIN + change.script, str(folder)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "LD_PRELOAD": str(library),
                "CUT_AT": str(cut_at),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )

    whole = run(tmp_path / "whole", 0)
    assert whole.returncode == 0, whole.stderr
    steps = int(re.findall(r"steps (\d+)", whole.stderr)[-1])
    assert steps > 10
    for cut_at in sorted({1 + steps * part // CUTS for part in range(CUTS)} | {steps - 1, steps}):
        folder = tmp_path / f"cut-{cut_at}"
        done = run(folder, cut_at)
        assert done.returncode == -signal.SIGKILL, (cut_at, steps, done.stderr)
        # The service begins again.
        Store(folder).close()
        change.check(folder)
        shutil.rmtree(folder)
