# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits to be told: which records are let go to the sinks, and how many at a time."""

from contextlib import closing
from dataclasses import replace

import pytest

from panicast_receiver.db import changes, meanings, queueing, schema
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.sinks import cursors

from .test_store import raw_record


@pytest.fixture
def store(tmp_path):
    """A store with a sink, ``hook``; of what is stored, nothing is told at once."""
    with closing(Store(tmp_path)) as opened:
        opened.at_once = lambda record: False
        cursors.begin(opened._db, "hook")
        cursors.feed_only(tmp_path, ["hook"])
        yield opened


def take(store):
    """The sink takes all that it may."""
    newest = changes.newest(store._db)
    cursors.move(store._db, "hook", cursors.begin(store._db, "hook"), newest, [], [])


def test_more_than_can_be_told_waits_for_its_turn(store, tmp_path):
    """What is told at once is told; of the others each sender has its turn, no sink more than it takes."""
    store.at_once = lambda record: record.sealed
    flood = [raw_record(identity=bytes([1, n]) * 10) for n in range(30)]
    other = raw_record(identity=b"o" * 20, mac="52:54:00:00:00:02")
    urgent = replace(raw_record(identity=b"u" * 20), flags=1)
    store.write([*flood, other, urgent])
    reader = Reader(tmp_path)

    def told():
        return reader.changed_since(0, Query())

    assert [entry.identity for entry in told()] == [urgent.identity]
    assert reader.backlogs() == {"hook": 32}
    found = []
    while store.let_go(256)[1]:
        found.append(len(told()))
        assert store.let_go(256)[0] == 0, "the sink has not taken those before"
        take(store)
    assert found[0] == 2, "how fast the sink is was not known"
    assert [entry.identity for entry in told()[:3]] == [urgent.identity, flood[0].identity, other.identity]
    assert len(told()) == 32


def test_no_more_are_let_go_at_a_time_than_an_urgent_one_can_wait_for(store, tmp_path):
    """However fast the sink has been until now."""
    store.write([raw_record(identity=bytes([1, n]) * 10) for n in range(100)])
    found = []
    for _ in range(7):
        found.append(store.let_go(256)[0])
        take(store)
    assert found == [1, 2, 4, 8, 16, 16, 16]


def test_what_is_told_at_once_waits_for_few_where_a_sink_is_slow(store, tmp_path):
    """And a sink that takes all that it gets gets more."""
    store.write([raw_record(identity=bytes([1, n]) * 10) for n in range(200)])

    def let_go(misses):
        count, _ = store.let_go(256)
        for _ in range(misses):
            assert store.let_go(256)[0] == 0
        take(store)
        return count

    fast = [let_go(misses=0) for _ in range(6)]
    assert fast == sorted(fast) and fast[-1] > 8 * fast[0]
    slow = [let_go(misses=3) for _ in range(6)]
    assert slow == sorted(slow, reverse=True) and slow[-1] <= 2


def test_to_find_who_is_next_is_not_to_look_at_all_that_wait(store):
    """A flood may leave hundreds of thousands."""
    store.write([raw_record(identity=bytes([1, n]) * 10) for n in range(3)])
    queries = (
        (queueing._NEXT, (1,)),
        (queueing._PLACE, ("52:54:00:00:00:02", None)),
        (queueing._LET_GO_SINCE, (0, 1)),
        (meanings._WAITING, (0, 1)),
        (meanings._GIVE_UP, ("", 2)),
    )
    for query, values in queries:
        plan = " ".join(row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {query}", values))
        assert "B-TREE" not in plan and "by_signature" not in plan and "INDEX" in plan, plan


def test_what_was_begun_and_never_ended_does_not_keep_the_others_from_their_turn(store, tmp_path):
    """Whoever looked what they mean was ended; in a flood it is long until somebody looks again."""
    store.write([raw_record(identity=bytes([1, n]) * 10) for n in range(16)])
    with closing(Meanings(tmp_path / schema.FILE_NAME)) as meanings:
        assert len(meanings.begin(16)) == 16
    other = raw_record(identity=b"o" * 20)
    store.write([other])
    assert store.let_go(256) == (1, True)
    assert [entry.identity for entry in Reader(tmp_path).changed_since(0, Query())] == [other.identity]


def test_a_sink_that_takes_nothing_for_long_gets_one_when_it_is_back(store, tmp_path):
    store.write([raw_record(identity=bytes([n]) * 20) for n in range(5)])
    assert store.let_go(256)[0] == 1
    assert [store.let_go(256)[0] for _ in range(9)] == [0] * 9
    take(store)
    assert store.let_go(256)[0] == 1


def test_a_sink_that_fails_keeps_nothing_from_those_that_work(store, tmp_path):
    cursors.begin(store._db, "broken")
    cursors.feed_only(tmp_path, ["hook", "broken"])
    cursors.complain(store._db, "broken", "away")
    store.write([raw_record(identity=bytes([n]) * 20) for n in range(5)])
    gone = 0
    for _ in range(3):
        gone += store.let_go(256)[0]
        take(store)
    # One, two, and what is left of four.
    assert gone == 5
