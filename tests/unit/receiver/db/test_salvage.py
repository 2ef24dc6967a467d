# SPDX-License-Identifier: GPL-2.0-or-later
"""What is saved from a damaged file, and from one of an older version."""

import json
import random
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
import zstandard

from panicast_receiver.db import groups, salvage
from panicast_receiver.db.packing import unpack_body
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store, row_to_record
from panicast_receiver.errors import NotFoundError

from ..conftest import wait_until
from ..service.test_serve import records
from .test_damage import NAME, PAGE, filled, tear, with_text


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


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("identity", "text"), ("identity", 0.3), ("boot_id", "text"), ("event", b"x"), ("flags", 0.3)),
        *(("time_ns", 0.3), ("time_ns", 1e300), ("received_ns", 0.3), ("received_ns", "text")),
        *(
            ("metadata", "text"),
            ("metadata", 7),
            ("frames", b"x"),
            ("restored", None),
            ("text_length", "text"),
        ),
    ],
)
def test_a_value_of_another_kind_keeps_nobody_from_the_other_rows(column, value, tmp_path):
    """One bit makes text of bytes: no sink was told any more, and to delete that row ended the service."""
    with closing(Store(tmp_path)) as store:
        store.write([with_text(number) for number in (1, 2, 3)])
    with closing(sqlite3.connect(tmp_path / NAME)) as database, suppress(sqlite3.IntegrityError), database:
        database.execute(
            f"UPDATE records SET {column} = ? WHERE identity = ?", (value, with_text(1).identity)
        )
    with closing(Reader(tmp_path)) as reader:
        for entries in (reader.select(Query()), reader.changed_since(0, Query())):
            assert [entry.identity for entry in entries][1:] == [with_text(n).identity for n in (2, 3)]
            # As the sinks read it.
            with suppress(NotFoundError):
                assert reader.load(entries[0]).host
    with closing(Store(tmp_path)) as store:
        for kept in (Retention(per_host=1), Retention(days=1), Retention(size=1)):
            while store.expire(kept, time.time_ns()):
                continue


def test_a_text_takes_no_more_memory_than_it_has_bytes_whichever_bit_of_it_has_changed():
    """The size that compressed bytes say they expand to is allocated at once."""
    sound = zstandard.ZstdCompressor().compress(b"x" * 70_000)
    for bit in range(8 * 14):
        body = bytearray(sound)
        body[bit // 8] ^= 1 << bit % 8
        assert sum(len(run.data) for run in unpack_body(bytes(body), [], 70_000)) <= 70_000
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    assert unpack_body(bomb, [], 10) == unpack_body(bomb, [], 1 << 60) == ()
