# SPDX-License-Identifier: GPL-2.0-or-later
"""Hello and bye are no records, but shown among them; texts are in a table of their own."""

import sqlite3
from contextlib import closing

import pytest

from panicast_receiver.db import salvage
from panicast_receiver.db.packing import row_to_record
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store

from ..conftest import explain
from ..meaning.test_crash import SYSRQ
from .test_fleet import START, record

ALL = Query(everything=True)


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path)) as opened:
        yield opened


def mixed(store):
    """Three of each kind of two hosts, in turn, and a hello that takes the place of another."""
    made = [
        record(kind, host, boot, 10 * boot + 5 * place + number, 100 * boot + 10 * number + place, text)
        for boot, host in ((1, "a"), (2, "b"), (3, "a"))
        for place, (kind, text) in enumerate((("hello", ""), ("panic", SYSRQ)))
        for number in (1, 2)
    ]
    store.write(made)
    return [one for one in made if one.type == "panic" or one.event % 10 == 2]


def shown(state_dir, query=ALL):
    with closing(Reader(state_dir)) as reader:
        return [(entry.summary["type"], entry.summary["event"]) for entry in reader.select(query)]


def test_lists_have_them_in_their_place_among_the_records(tmp_path, store):
    expected = [(one.type, one.event) for one in sorted(mixed(store), key=lambda one: one.received_ns)]
    explain(tmp_path)
    assert shown(tmp_path) == expected
    assert shown(tmp_path, ALL._replace(limit=4)) == expected[-4:]
    assert shown(tmp_path, Query(type="hello")) == [one for one in expected if one[0] == "hello"]
    assert shown(tmp_path, Query()) == [one for one in expected if one[0] == "panic"]
    assert shown(tmp_path, ALL._replace(host="b")) == [("panic", 26), ("hello", 22), ("panic", 27)]
    # No word is looked for in them; what does not fit is not asked of them either.
    assert shown(tmp_path, ALL._replace(search="sysrq")) == [one for one in expected if one[0] == "panic"]
    assert shown(tmp_path, ALL._replace(search="-sysrq")) == [one for one in expected if one[0] == "hello"]
    assert shown(tmp_path, ALL._replace(state="open")) == [one for one in expected if one[0] == "panic"]
    with closing(Reader(tmp_path)) as reader:
        assert [(one.summary["type"], one.summary["event"]) for one in reader.every(ALL)] == expected
        # Page by page, as the page and the API go.
        found, before = [], None
        while part := reader.select(ALL._replace(limit=2, before=before)):
            found, before = [*part, *found], part[0].number
        assert [(one.summary["type"], one.summary["event"]) for one in found] == expected
        for entry in found:
            assert reader.find(entry.summary["id"]).identity == entry.identity
            assert reader.load(entry).received_text == (
                SYSRQ.encode() if entry.summary["type"] == "panic" else b""
            )


def test_who_follows_gets_each_change_once_and_in_order(tmp_path, store):
    made, cursor, found = mixed(store), 0, []
    with closing(Reader(tmp_path)) as reader:
        while part := reader.changed_since(cursor, ALL._replace(limit=2)):
            cursor = part[-1].changed
            found += part
        assert sorted(one.identity for one in found) == sorted(one.identity for one in made)
        assert [one.changed for one in found] == sorted(one.changed for one in found)
        store.write([record("hello", "b", 2, 29, 999)])
        (newer,) = reader.changed_since(cursor, ALL)
        assert newer.summary["event"] == 29 and newer.changed == reader.cursor()
        assert reader.changed_since(cursor, Query()) == []


def test_a_hello_changes_one_row_and_nothing_of_the_records(tmp_path, store):
    mixed(store)
    before = store._db.execute("SELECT count(*), max(changed) FROM records").fetchone()[:]
    for event in range(30, 60):
        assert store.write([record("hello", "a", 3, event, event)])[0].outcome in ("grown", "known")
    assert store._db.execute("SELECT count(*), max(changed) FROM records").fetchone()[:] == before
    assert store._db.execute("SELECT count(*) FROM greetings").fetchone()[0] == 3
    with closing(Reader(tmp_path)) as reader:
        assert {one["type"]: one["records"] for one in reader.totals()} == {"panic": 6, "hello": 3}


def test_they_have_a_share_of_the_room_and_take_none_of_the_records(tmp_path, store, monkeypatch):
    monkeypatch.setattr("panicast_receiver.db.retention._FEW", 4)
    monkeypatch.setattr("panicast_receiver.db.retention._GREETING_BYTES", 1 << 40)
    mixed(store)
    store.write([record("hello", f"h{number}", 50 + number, 1, number) for number in range(20)])
    while store.expire(Retention(), START):
        pass
    # The newest are left.
    assert store._db.execute("SELECT count(*), min(received_ns) > ? FROM greetings", (START,)).fetchone()[
        :
    ] == (
        4,
        1,
    )
    assert len(shown(tmp_path, Query())) == 6


def test_age_deletes_them_and_nobody_brings_them_back(tmp_path, store):
    made = mixed(store)
    assert store.surplus(START + 10**15, None, -1)
    store.delete([one.identity for one in made])
    assert shown(tmp_path) == [] and store._db.execute("SELECT count(*) FROM bodies").fetchone()[0] == 0
    assert {one.outcome for one in store.write(made)} == {"known"}


def test_what_was_deleted_stays_so_where_its_number_alone_would_not_say_that_it_is_late(store):
    """Unsealed, and so far behind that somebody may have made up the newest one."""
    first = record("hello", "a", 1, 1, 1)
    store.write([first])
    store.delete([first.identity])
    assert [one.outcome for one in store.write([record("hello", "a", 1, 500, 2)])] == ["new"]
    assert [one.outcome for one in store.write([first])] == ["known"]


def test_a_damaged_file_gives_them_and_texts_back_as_far_as_they_are_there(tmp_path, store):
    made = {one.identity: one for one in mixed(store)}
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found = {row["identity"]: row_to_record(row) for row in salvage.rows(store.path)}
    assert {one: (record.type, record.metadata, record.received_text) for one, record in found.items()} == {
        one: (record.type, record.metadata, record.received_text) for one, record in made.items()
    }
    # Without its text a record is what is known of it.
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute("DELETE FROM bodies WHERE number = (SELECT min(number) FROM bodies)")
    found = [row_to_record(row) for row in salvage.rows(store.path)]
    assert len(found) == len(made) and sum(not one.complete for one in found) == 1
