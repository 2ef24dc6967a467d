# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts and the index of words: whatever is stored, named, renamed and deleted, they say what a count of
all records would say."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.db import schema, tallies, words
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.meaning import Meaning

from ..meaning.test_crash import OOPS, SYSRQ
from .test_fleet import SECOND, START, record

TABLES = ("type_tallies", "host_tallies", "groups", "group_hosts", "group_names", "group_days")
DAY = 86400


def rows(db, table):
    """All that a table says, but the time of a type's newest record, which may be deleted."""
    found = db.execute(f"SELECT * FROM {table}").fetchall()
    return sorted(row[:4] if table == "type_tallies" else row for row in found if row[1] != 0)


def check(folder):
    """Compare each count with one that is made now."""
    with closing(sqlite3.connect(folder / schema.FILE_NAME)) as db:
        kept = {table: rows(db, table) for table in TABLES}
        for table in TABLES:
            db.execute(f"DROP TABLE {table}")
        db.executescript(f"BEGIN; {tallies.CARRY_ON}")
        assert kept == {table: rows(db, table) for table in TABLES}
        indexed = {row[0] for row in db.execute("SELECT number FROM records WHERE indexed = 1")}
        found = [
            row[0] for row in db.execute("SELECT rowid FROM words WHERE words MATCH 'panic OR oops OR test'")
        ]
        assert sorted(found) == sorted(indexed)
        db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        db.rollback()


def name_all(folder, title="", signature=""):
    """Let each record that waits mean this."""
    meanings = Meanings(folder / schema.FILE_NAME)
    with closing(meanings):
        while tasks := meanings.begin(16):
            meanings.end(
                [
                    (task, Meaning(title=title, signature=signature if task.type != "test" else ""))
                    for task in tasks
                ]
            )


def rename(folder, title, signature):
    """Give all crashes another name, as `regroup` does."""
    meanings = Meanings(folder / schema.FILE_NAME)
    with closing(meanings):
        meanings.rename(
            [(one, Meaning(title=title, signature=signature)) for one in meanings.known(b"", 1000)]
        )


EVENTS = st.one_of(
    st.tuples(
        st.just("write"),
        st.sampled_from(["panic", "oops", "test", "hello", "bye"]),
        st.sampled_from(["web-1", "db-1"]),
        st.integers(1, 3),
        st.integers(0, 4),
        st.sampled_from([OOPS, SYSRQ, ""]),
        st.booleans(),
    ),
    st.tuples(st.just("name"), st.sampled_from(["aaaaaaaaaaaa", "bbbbbbbbbbbb"])),
    st.tuples(st.just("rename"), st.sampled_from(["aaaaaaaaaaaa", "cccccccccccc"])),
    st.tuples(st.just("expire"), st.integers(0, 4), st.integers(0, 2)),
    st.tuples(st.just("delete"), st.integers(0, 5)),
)


@given(events=st.lists(EVENTS, max_size=25))
def test_counts_are_what_a_count_of_all_finds(tmp_path_factory, events):
    folder = tmp_path_factory.mktemp("counts")
    store = Store(folder)
    with closing(store):
        for event in events:
            if event[0] == "write":
                _, kind, host, boot, number, text, whole = event
                one = record(kind, host, boot, number, number * DAY, text)
                if text and not whole:
                    one = replace(one, runs=(one.runs[0]._replace(data=one.runs[0].data[:9]),))
                store.write([one])
            elif event[0] == "name":
                name_all(folder, f"title of {event[1]}", event[1])
            elif event[0] == "rename":
                rename(folder, "another", event[1])
            elif event[0] == "expire":
                store.expire(Retention(days=event[1], per_host=event[2]), START + 4 * DAY * SECOND)
            else:
                reader = Reader(folder)
                with closing(reader):
                    found = reader.select(Query())[: event[1]]
                store.delete([entry.identity for entry in found])
    check(folder)


def test_a_record_that_is_refused_counts_for_nothing(tmp_path):
    store = Store(tmp_path)
    with closing(store):
        good, bad = record("panic", "a", 1, 1, 0, OOPS), record("panic", "a", 1, 2, 0, SYSRQ)
        outcomes = [one.outcome for one in store.write([replace(bad, frames=1 << 70), good])]
    assert outcomes == ["refused", "new"]
    check(tmp_path)


@pytest.mark.parametrize("since_ns", [None, START + 2 * DAY * SECOND])
@pytest.mark.parametrize("group", [None, "aaaa", "aaaaaaaaaaaa"])
def test_groups_are_the_same_counted_and_looked_for(tmp_path, since_ns, group):
    store = Store(tmp_path)
    with closing(store):
        for number in range(20):
            host = f"host-{number % 3}"
            store.write([record("panic", host, 1 + number % 3, number, number * DAY // 4, OOPS)])
            name_all(tmp_path, f"title {number % 2}", ("aaaaaaaaaaaa", "aaaabbbbbbbb")[number % 5 == 0])
    reader = Reader(tmp_path)
    with closing(reader):
        query = Query(since_ns=since_ns, group=group)
        counted = reader.groups(query)
        # All have that host or another: it is looked for in the records then.
        looked_for = reader.groups(query._replace(search="host"))
        names = [one["signature"] for one in counted]
        assert counted == looked_for and names
        days = reader.timelines(Query(), names, START, tallies.DAY_NS)
        assert {name: sum(found.values()) for name, found in days.items()} == {
            one["signature"]: one["records"] for one in reader.groups(Query(group=group))
        } or since_ns


def test_the_index_holds_the_words_and_not_the_times_of_a_log():
    line = b"] usb 1-1: new device\n"
    text = b"<6>[    1.234567" + line + b"<6>[    9.876543" + line + b"[ 2.0][ T12] at ffffffff81234567\n"
    assert words.of_text(text) == "usb 1-1: new device\nat  \n"


@pytest.mark.parametrize(
    "line",
    ["", "no stamp] here", "] at the start", "[without an end", "<3>", "[" + "x" * 99 + "] too late"],
)
def test_a_line_without_a_stamp_is_indexed_whole(line):
    assert words.of_text(f"one\n{line}\nlast".encode()) == "\n".join(dict.fromkeys(("one", line, "last")))


@pytest.mark.parametrize(
    ("text", "indexed"),
    [
        ("RIP 0xffffffff81234567 in\nRAX: 000000000000", "RIP   in\nRAX:  "),
        ("a\n0123456789ab\n", "a\n \n"),
        ("x0123456789ab 0123456789abz 0123456789a", "x0123456789ab 0123456789abz 0123456789a"),
        ("deadbeefdead deadbeefdead\nb", "   \nb"),
        ("0" * 65, "0" * 65),
    ],
)
def test_no_address_is_indexed_and_what_only_looks_like_one_is(text, indexed):
    assert words.of_text(text.encode()) == indexed


def test_to_name_and_delete_one_more_takes_no_longer_for_all_of_its_group(tmp_path):
    """SQLite counts its own steps, as in test_fleet.py."""
    steps = []
    with closing(Store(tmp_path)) as store, closing(Meanings(tmp_path / schema.FILE_NAME)) as meanings:
        for db in (store._db, meanings._db):
            db.set_progress_handler(lambda: steps.append(1), 10)

        def cost(first):
            some = [record("panic", "same", 1, number, number, SYSRQ) for number in range(first, first + 100)]
            store.write(some)
            del steps[:]
            while tasks := meanings.begin(16):
                meanings.end([(task, Meaning(title="x", signature="aaaaaaaaaaaa")) for task in tasks])
            store.delete([one.identity for one in some[:50]])
            return len(steps)

        early = cost(1)
        for first in range(101, 1001, 100):
            late = cost(first)
    assert late < 1.5 * early, (early, late)


@pytest.mark.parametrize(
    "kept", [Retention(days=1), Retention(per_host=100), Retention(days=9), Retention(per_host=100, days=9)]
)
def test_to_find_what_need_not_be_kept_takes_no_longer_for_all_that_is(tmp_path, kept):
    """SQLite counts its own steps."""
    steps = []
    with closing(Store(tmp_path)) as store:
        store._db.set_progress_handler(lambda: steps.append(1), 10)

        def cost(first):
            numbers = range(first, first + 500)
            store.write([record("panic", f"h-{n}", n % 250, n, 0) for n in numbers])
            del steps[:]
            store.expire(kept, START + 2 * DAY * SECOND, most=16, step_s=60)
            return len(steps)

        early = cost(1)
        for first in range(501, 5001, 500):
            late = cost(first)
    assert late < 1.5 * early + 20, (early, late)


def segments(folder):
    """Of how many parts the index of words is."""
    with closing(sqlite3.connect(folder / schema.FILE_NAME)) as db:
        return db.execute("SELECT count(DISTINCT segid) FROM words_idx").fetchone()[0]


def test_who_deletes_does_not_merge_the_index_of_words(tmp_path):
    stored = [record("panic", "db1", 1, number, number, OOPS) for number in range(80)]
    with closing(Store(tmp_path)) as store:
        store.write(stored)
        name_all(tmp_path, title="t", signature="aaaaaaaaaaaa")
        named = segments(tmp_path)
        for one in stored[:40]:
            store.delete([one.identity])
    assert segments(tmp_path) >= named + 40
    with closing(Meanings(tmp_path / schema.FILE_NAME)) as meanings:
        while meanings.merge():
            pass
    assert segments(tmp_path) < 16
    check(tmp_path)


@pytest.mark.parametrize("then", ["delete", "rename"])
def test_an_index_that_the_disk_has_changed_is_made_anew(tmp_path, then):
    """Else nothing could be deleted or named any more, or the whole file would pass for damaged."""
    with closing(Store(tmp_path)) as store:
        store.write([record("panic", f"web-{number}", 1, number, number, OOPS) for number in (1, 2)])
        name_all(tmp_path, "one", "aaaaaaaaaaaa")
        store._db.execute("INSERT INTO words (words) VALUES ('delete-all')")
        if then == "delete":
            with closing(Reader(tmp_path)) as reader:
                store.delete([reader.select(Query())[0].identity])
        else:
            rename(tmp_path, "another", "bbbbbbbbbbbb")
        with closing(Meanings(tmp_path / schema.FILE_NAME)) as meanings:
            while meanings.index(1):
                pass
        store.write([record("panic", "web-3", 1, 3, 3, OOPS)])
        name_all(tmp_path, "one", "aaaaaaaaaaaa")
    check(tmp_path)
    with closing(Reader(tmp_path)) as reader:
        assert len(reader.select(Query(search="host:web"))) == (2 if then == "delete" else 3)
