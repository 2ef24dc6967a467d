# SPDX-License-Identifier: GPL-2.0-or-later
"""What is deleted first, and how much: by age, by number and by size."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import namedtuple
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from panicast_receiver.db import queueing, retention, schema
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.wire.v1 import FLAG_SEALED

from .test_fleet import SECOND, START, record

TYPES = ("test", "oops", "panic")
Made = namedtuple("Made", "sealed type complete")


WHOLE = Made(False, "panic", True)


def make(number, made=WHOLE, host="h", text="x" * 100):
    """One of many records of a host, so many seconds after the start."""
    one = record(made.type, host, 1, number, number, text)
    missing = 0 if made.complete else 7
    flags = FLAG_SEALED if made.sealed else 0
    boot_id = number.to_bytes(16, "big")
    return replace(
        one,
        flags=flags,
        boot_id=boot_id,
        identity=boot_id + number.to_bytes(4, "big"),
        text_length=one.text_length + missing,
    )


def numbers(identities):
    return [int.from_bytes(identity[-4:], "big") for identity in identities]


def stored(folder, records):
    with closing(Store(Path(folder))) as store:
        store.write(records)
    db = schema.open_writer(Path(folder) / schema.FILE_NAME)
    db.row_factory = sqlite3.Row
    return closing(db)


def worth(made):
    return made.sealed, made.type != "test", made.complete


def test_the_least_is_deleted_first_for_whatever_reason(tmp_path):
    """Each kind twice, the older ones of each mixed with the newer ones of others."""
    each = [Made(*one) for one in product((True, False), TYPES, (True, False))]
    made = dict(enumerate([*each, *reversed(each)], 1))
    order = sorted(made, key=lambda number: (worth(made[number]), number))
    with stored(tmp_path, [make(number, one) for number, one in made.items()]) as db:
        assert numbers(retention.oversize(db, 0, 99)) == order
        assert numbers(retention.oversize(db, 0, 7)) == order[:7]
        # Of the sealed and of the others so many are kept.
        for per_host in (0, 1, 5, 12, 13):
            kept = set()
            for sealed in (True, False):
                best_first = [number for number in reversed(order) if made[number].sealed == sealed]
                kept.update(best_first[:per_host])
            wanted = [number for number in order if number not in kept]
            assert numbers(retention.surplus(db, None, per_host, -1)) == wanted, per_host
            assert numbers(retention.surplus(db, None, per_host, 3)) == wanted[:3]


def test_by_age_the_oldest_go_and_what_is_as_old_as_the_bound_stays(tmp_path):
    with stored(tmp_path, [make(number) for number in range(1, 7)]) as db:
        before_ns = START + 4 * SECOND
        assert numbers(retention.surplus(db, before_ns, None, -1)) == [1, 2, 3]
        assert numbers(retention.surplus(db, before_ns, None, 2)) == [1, 2]
        assert numbers(retention.surplus(db, START, None, -1)) == []
        # Both reasons together name each record once, by age first.
        assert numbers(retention.surplus(db, before_ns, 2, -1)) == [1, 2, 3, 4]
        assert numbers(retention.surplus(db, before_ns, 2, 3)) == [1, 2, 3]


def test_what_came_while_the_clock_was_ahead_is_older_than_what_comes_after(tmp_path):
    """A panic that came after that was deleted at once, for as long as the clock had been ahead."""
    year = 365 * 86400
    with stored(tmp_path, [make(number) for number in (year + 1, year + 2, 3, 4)]) as db:
        assert numbers(retention.surplus(db, None, 2, -1)) == [year + 1, year + 2]
        assert numbers(retention.oversize(db, 0, 3)) == [year + 1, year + 2, 3]


def test_each_host_has_its_own_number(tmp_path):
    records = [make(n, host=f"h{n % 2}") for n in range(1, 8)]
    with stored(tmp_path, records) as db:
        assert sorted(numbers(retention.surplus(db, None, 2, -1))) == [1, 2, 3]
        for most in range(4):
            assert len(retention.surplus(db, None, 2, most)) == most


def test_hello_and_bye_are_not_counted(tmp_path):
    with stored(tmp_path, [make(n) for n in (1, 2, 3)]) as db:
        for number, kind in ((8, "hello"), (9, "bye")):
            with closing(Store(tmp_path)) as store:
                store.write([make(number, WHOLE._replace(type=kind))])
        assert db.execute("SELECT count(*) FROM greetings").fetchone()[0] == 2
        assert numbers(retention.surplus(db, None, 1, -1)) == [1, 2]
        assert numbers(retention.surplus(db, None, 0, -1)) == [1, 2, 3]


def test_what_a_sink_has_not_received_is_spared_by_age_and_number_until_it_is_too_old(tmp_path):
    with stored(tmp_path, [make(number) for number in range(1, 5)]) as db:
        changed = [row[0] for row in db.execute("SELECT changed FROM records ORDER BY number")]
        delivered = retention.Delivered(changed[1], changed[1])
        assert numbers(retention.surplus(db, START + 99 * SECOND, None, -1, delivered)) == [1, 2]
        assert numbers(retention.surplus(db, None, 0, -1, delivered)) == [1, 2]
        # One that waits for its turn, too, is spared until it is too old.
        db.execute(f"UPDATE records SET turn = {queueing.WAITS} WHERE changed = ?", (changed[1],))
        assert numbers(retention.surplus(db, None, 0, -1, delivered)) == [1, 2]
        younger = delivered._replace(old=changed[0])
        assert numbers(retention.surplus(db, None, 0, -1, younger)) == [1]
        # Without a sink that is fed nothing waits; with one, what is older than a week does not.
        now_ns = changed[-1] * 1000
        assert retention.delivered(db, now_ns).changed > changed[-1]
        week_on = now_ns + retention.UNDELIVERED_NS + 1000
        assert retention.delivered(db, week_on).old > changed[-1] > retention.delivered(db, now_ns).old
        db.executemany(
            "INSERT INTO cursors (sink, changed, fed) VALUES (?, ?, ?)",
            [("slow", changed[0], True), ("quick", changed[2], True), ("none", 0, False)],
        )
        week_ago = now_ns // 1000 - 7 * 86400 * 10**6
        assert retention.delivered(db, now_ns) == (changed[0], week_ago)
        assert retention.delivered(db, week_on).changed == changed[-1] + 1


def test_what_a_sink_has_not_received_is_counted_when_it_is_deleted(tmp_path):
    made = [make(number) for number in range(1, 5)]
    with stored(tmp_path, made) as db:
        changed = [row[0] for row in db.execute("SELECT changed FROM records ORDER BY number")]
        each = [one.identity for one in made]
        # The first is let go later.
        db.execute(f"UPDATE records SET turn = {queueing.WAITS} WHERE changed = ?", (changed[0],))
        db.execute("INSERT INTO cursors (sink, changed, fed) VALUES ('none', 0, 0)")
        assert retention.undelivered(db, each) == 0
        db.execute("INSERT INTO cursors (sink, changed, fed) VALUES ('slow', ?, 1)", (changed[1],))
        assert [retention.undelivered(db, [one]) for one in each] == [1, 0, 1, 1]
        assert retention.undelivered(db, each) == 3


#: What expire() finds to delete in one folder: alerts, boots with their hello, hello of boots that stay,
#: records that no sink waits for any more, and the memory of what was deleted.
TABLES = ("alerts", "boots", "greetings", "records", "forgotten")


@pytest.mark.parametrize(
    ("most", "step_s", "left", "rows"),
    [
        (99, 60, (256, 2, 2, 1, 2), 4 + 3 + 2 + 2 + 7),
        # Of what takes time at least one, so that it goes on.
        (99, -1, (256, 4, 5, 2, 2), 4 + 1 + 1 + 1 + 5),
        (1, 60, (256, 4, 5, 2, 6), 4 + 1 + 1 + 1 + 1),
    ],
)
def test_what_expires_is_counted_whatever_it_is(tmp_path, monkeypatch, most, step_s, left, rows):
    monkeypatch.setattr(retention, "_FEW", 2)
    hello = WHOLE._replace(type="hello")
    with closing(Store(tmp_path)) as store:
        sealed = [make(number, hello._replace(sealed=True), host=f"s{number}") for number in (1, 2)]
        store.write(sealed)
        # Doubted, so these make no boot.
        store.write([replace(one, flags=0, event=99, identity=one.identity[::-1]) for one in sealed])
        store.write([make(number, hello, host=f"h{number}") for number in (3, 4, 5)])
        # An oops that nobody sealed makes none either.
        store.write([make(number, WHOLE._replace(type="oops")) for number in (6, 7, 8)])
        assert store.expired_ns() is None
    path, now_ns = tmp_path / schema.FILE_NAME, time.time_ns() + 8 * 86400 * SECOND
    with closing(schema.open_writer(path)) as db:
        db.row_factory = sqlite3.Row
        db.executemany("INSERT INTO alerts (at_ns, document) VALUES (?, '')", [(at,) for at in range(260)])
        db.executemany("INSERT INTO forgotten VALUES (?, 0)", [(bytes([at]),) for at in range(5)])
        db.execute("INSERT INTO cursors (sink, changed, fed) VALUES ('slow', 0, 1)")
        done = retention.expire(db, Retention(size=1, per_host=1), path, now_ns, most, step_s)
        counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]
        assert (tuple(counts), done.rows) == (left, rows)
        assert done.undelivered == 3 - left[TABLES.index("records")]
        assert retention.expired_ns(db) == now_ns


def test_what_a_sink_waits_for_is_not_deleted_by_number_and_age_deletes_boots_too(tmp_path):
    records = [make(number, WHOLE._replace(type="oops")) for number in (1, 2, 3)]
    day = 86400
    hello = WHOLE._replace(type="hello")
    greetings = [make(9, hello, "gone"), make(5 * day, hello, "here")]
    with stored(tmp_path, [*records, *greetings]) as db:
        db.execute("INSERT INTO cursors (sink, changed, fed) VALUES ('slow', 0, 1)")
        path = tmp_path / schema.FILE_NAME
        kept = Retention(size=1 << 30, per_host=1)
        # A sink has refused one of them.
        db.execute("INSERT INTO aside VALUES ('slow', ?, '', 0)", (records[0].identity,))
        assert retention.expire(db, kept, path, time.time_ns()) == (0, 0)
        assert db.execute("SELECT count(*) FROM aside").fetchone()[0] == 1
        db.execute("DELETE FROM cursors")
        now_ns = START + 6 * day * SECOND
        done = retention.expire(db, Retention(days=2, size=1 << 30), path, now_ns, step_s=60)
        # With a boot its hello goes, which is not counted.
        assert done == (4, 0)
        assert [row[0] for row in db.execute("SELECT host FROM boots")] == ["here"]
        for table in ("records", "aside"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_boots_have_an_eighth_of_the_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "_FEW", 1)
    hello = WHOLE._replace(type="hello")
    with stored(tmp_path, [make(n, hello, f"h{n}") for n in range(1, 6)]) as db:
        retention.expire(db, Retention(size=8 * 512 * 3), tmp_path / schema.FILE_NAME, START, step_s=60)
        hosts = [row[0] for row in db.execute("SELECT host FROM boots ORDER BY host")]
    assert hosts == ["h3", "h4", "h5"]


def test_by_age_hello_and_bye_come_after_the_records(tmp_path):
    hello = WHOLE._replace(type="hello")
    with stored(tmp_path, [make(1, hello), make(2, hello), make(3), make(4)]) as db:
        before_ns = START + 9 * SECOND
        assert numbers(retention.surplus(db, before_ns, None, -1)) == [3, 4, 1, 2]
        for most in range(5):
            assert numbers(retention.surplus(db, before_ns, None, most)) == [3, 4, 1, 2][:most]


def test_by_size_no_more_goes_than_has_to_and_records_keep_half(tmp_path):
    hello = make(99, WHOLE._replace(type="hello"))
    with stored(tmp_path, [*(make(number) for number in range(1, 41)), hello]) as db:
        (total,) = db.execute("SELECT sum(size) FROM records").fetchone()
        # The indexes take more than that. Whatever else takes room, records may have half of it.
        assert len(retention.oversize(db, total, 99)) == 20
        assert len(retention.oversize(db, total, 5)) == 5
        assert len(retention.oversize(db, total // 2, 99)) == 30
        assert retention.oversize(db, 2 * total, 99) == [] == retention.oversize(db, 1 << 30, 99)
        path = tmp_path / schema.FILE_NAME
        assert retention.expire(db, Retention(size=total), path, START, step_s=60).rows == 20


def test_pages_that_are_free_already_are_not_too_much(tmp_path):
    """Else each call would delete more, until there is nothing left."""
    made = [make(number, text=os.urandom(8192).hex()) for number in range(1, 151)]
    with stored(tmp_path, made) as db:
        for one in made[:50]:
            retention.delete(db, one.identity)
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        assert free > 50
        used = (pages - free) * size
        assert retention.oversize(db, used, 99) == []
        assert len(retention.oversize(db, used - 3 * 8192, 99)) == 3


def test_what_was_deleted_does_not_come_back_and_the_sealed_are_remembered_longest(tmp_path):
    imported = replace(make(4), format="pstore")
    records = [make(1), make(2, Made(True, "panic", True)), imported, make(3)]
    with closing(Store(tmp_path)) as store:
        store.write(records)
        store.delete([one.identity for one in records[:3]])
        assert [one.outcome for one in store.write(records[:3])] == ["known"] * 3
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db:
        kept = dict(db.execute("SELECT identity, kept FROM forgotten"))
        assert {number: kept[make(number).identity] for number in (1, 2, 4)} == {1: 0, 2: 1, 4: 1}
        assert numbers(row[0] for row in db.execute("SELECT identity FROM records")) == [3]


def test_of_what_was_deleted_the_sealed_are_remembered_when_there_is_no_room_for_all(tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "_FEW", 2)
    Store(tmp_path).close()
    path = tmp_path / schema.FILE_NAME
    with closing(schema.open_writer(path)) as db:
        rows = [(b"sealed", 1), (b"old", 0), (b"older", 0), (b"new", 0)]
        db.executemany("INSERT INTO forgotten VALUES (?, ?)", rows)
        assert retention.expire(db, Retention(size=1), path, START).rows == 2
        left = {row[0] for row in db.execute("SELECT identity FROM forgotten")}
    assert left == {b"sealed", b"new"}


@pytest.mark.parametrize(
    ("total", "free", "own", "wanted"),
    [
        # A tenth of the file system, half of what is free with the database's own, at most, at least.
        (10 << 30, 10 << 30, 0, 1 << 30),
        (10 << 30, 1 << 29, 1 << 20, ((1 << 29) + (1 << 20)) // 2),
        (1 << 50, 1 << 50, 0, 16 << 30),
        (1 << 30, 0, 0, 16 << 20),
    ],
)
def test_by_default_the_disk_says_how_large_it_may_be(tmp_path, monkeypatch, total, free, own, wanted):
    file = tmp_path / "database"
    if own:
        file.write_bytes(b"x" * own)
    usage = namedtuple("Usage", "total used free")(total, total - free, free)
    monkeypatch.setattr(retention.shutil, "disk_usage", lambda folder: usage if folder == tmp_path else None)
    assert Retention().bytes(file) == wanted
    assert Retention(size=5).bytes(file) == 5
    assert Retention().before_ns(START) is None
    assert Retention(days=2.0).before_ns(START) == START - 2 * 86400 * SECOND
