# SPDX-License-Identifier: GPL-2.0-or-later
"""What is deleted first, and how much: by age, by number and by size."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from panicast_receiver.db import retention, schema
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
        # Without a sink that is fed nothing waits; with one, what is older than a week does not.
        now_ns = changed[-1] * 1000
        assert retention.delivered(db, now_ns).changed > changed[-1]
        week_on = now_ns + retention.UNDELIVERED_NS + 1000
        assert retention.delivered(db, week_on).old > changed[-1] > retention.delivered(db, now_ns).old


def test_by_size_no_more_goes_than_has_to_and_records_keep_half(tmp_path):
    with stored(tmp_path, [make(number) for number in range(1, 41)]) as db:
        (total,) = db.execute("SELECT sum(size) FROM records").fetchone()
        # The indexes take more than that. Whatever else takes room, records may have half of it.
        assert len(retention.oversize(db, total, 99)) == 20
        assert len(retention.oversize(db, total, 5)) == 5
        assert len(retention.oversize(db, total // 2, 99)) == 30
        assert retention.oversize(db, 2 * total, 99) == [] == retention.oversize(db, 1 << 30, 99)


def test_what_was_deleted_does_not_come_back_and_the_sealed_are_remembered_longest(tmp_path):
    records = [make(1), make(2, Made(True, "panic", True)), make(3)]
    with closing(Store(tmp_path)) as store:
        store.write(records)
        store.delete([records[0].identity, records[1].identity])
        assert [one.outcome for one in store.write(records[:2])] == ["known", "known"]
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db:
        kept = dict(db.execute("SELECT identity, kept FROM forgotten"))
        assert {number: kept[make(number).identity] for number in (1, 2)} == {1: 0, 2: 1}
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
