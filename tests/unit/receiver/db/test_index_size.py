# SPDX-License-Identifier: GPL-2.0-or-later
"""How large the index of words becomes: by words that somebody makes up, and by those that were taken out."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from panicast_receiver.db import words
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.meaning import Meaning

from .test_fleet import SECOND, START
from .test_retention import make

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def made_up(chance, count):
    return " ".join("".join(chance.choices(LETTERS, k=5)) for _ in range(count))


def understand(folder, merges):
    """Have all that waits understood, as the service does; return how large the index's segments are."""
    with closing(Meanings(folder / "panicast.db")) as meanings:
        while tasks := meanings.begin(16):
            meanings.end([(task, Meaning()) for task in tasks])
        for _ in range(merges):
            meanings.merge()
        while meanings.index(16):
            pass
        return meanings._db.execute("SELECT sum(length(block)) FROM words_data").fetchone()[0]


@pytest.mark.parametrize("levels", (words._MOST_LEVELS, 3), ids=("as it is", "or it is made anew"))
def test_words_that_were_taken_out_do_not_stay_in_the_index(tmp_path, monkeypatch, levels):
    """Records come and go, so that few are kept: SQLite alone kept the words of sixteen times as many, and
    each word twice, until the disk was full."""
    monkeypatch.setattr(words, "_LEAST_BYTES", 0)
    monkeypatch.setattr(words, "_MOST_LEVELS", levels)
    chance, largest = random.Random(1), 0
    with closing(Store(tmp_path)) as store:
        few = None
        for first in range(1, 801, 16):
            store.write([make(number, text=made_up(chance, 100)) for number in range(first, first + 16)])
            size = understand(tmp_path, merges=8)
            few = few or size
            while store.expire(Retention(per_host=32), START + 9999 * SECOND):
                pass
            largest = max(largest, size)
        # Of 32 to 48 records, each word at most three times.
        assert largest < 3 * 3 * few
        assert words._shape(store._db.execute(words._STRUCTURE).fetchone()[0])[0] < levels + 4
        (kept,) = store._db.execute("SELECT count(*) FROM records").fetchone()
        assert kept == 32
        # What is kept is found, what is gone is not.
        for number, text in store._db.execute("SELECT number, id FROM records"):
            found = store._db.execute("SELECT rowid FROM words WHERE words MATCH ?", (f'"{text}"',))
            assert [row[0] for row in found] == [number]
        (indexed,) = store._db.execute("SELECT count(*) FROM words WHERE words MATCH 'h'").fetchone()
        assert indexed == 32


def test_the_size_of_a_record_says_what_its_words_take(tmp_path):
    chance = random.Random(2)
    with closing(Store(tmp_path)) as store:
        store.write([make(1, text=made_up(chance, 5000)), make(2, text="word " * 5000)])
        (before,) = store._db.execute("SELECT sum(size) FROM records").fetchone()
        index = understand(tmp_path, merges=0)
        many, one = (row[0] for row in store._db.execute("SELECT size FROM records ORDER BY number"))
        assert one < 2000 and before + index // 2 < many + one < before + 2 * index
        (counted,) = store._db.execute("SELECT sum(size) FROM type_tallies").fetchone()
        assert counted == many + one
        while store.expire(Retention(per_host=1), START + 9999 * SECOND):
            pass
        assert store._db.execute("SELECT sum(size) FROM type_tallies").fetchone()[0] == one


def test_segments_of_made_up_words_are_merged_as_fast_as_they_come(tmp_path):
    """SQLite merges 64 of them at once, within one transaction, however long that takes."""
    chance = random.Random(3)
    assert words.merges(0) == 4 and words.merges(4 << 20) > 4 * 4096 // 256
    with closing(Store(tmp_path)) as store:
        most = 0
        for number in range(1, 41):
            store.write([make(number, text=made_up(chance, 2000))])
            understand(tmp_path, merges=0)
            (segments,) = store._db.execute("SELECT count(DISTINCT segid) FROM words_idx").fetchone()
            most = max(most, segments)
        assert most < 32


def test_a_meaning_is_stored_by_one_update_of_its_record(tmp_path):
    """SQLite writes the whole row each time, and what changes of each index."""
    said = []
    with closing(Store(tmp_path)) as store, closing(Meanings(tmp_path / "panicast.db")) as meanings:
        store.write([make(number) for number in range(1, 4)])
        tasks = meanings.begin(16)
        meanings._db.set_trace_callback(said.append)
        meanings.end([(task, Meaning(title="BUG", signature="0" * 12)) for task in tasks])
        assert len([sql for sql in said if sql.startswith("UPDATE records ")]) == len(tasks) == 3
        rows = store._db.execute("SELECT title, indexed FROM records").fetchall()
        assert [tuple(row) for row in rows] == 3 * [("BUG", words.IN)]


@pytest.mark.parametrize("between", (" ", "_", "-.", "\n", "\x00", "—", "\u2003", "°"))
def test_words_are_counted_whatever_stands_between_them(between):
    """Else made-up words take room that nobody counts."""
    text = between.join(("one", "two", "2", "größer", "one"))
    for its_words, count in ((text, 4), (text.replace("größer", "larger"), 4)):
        assert words.size(words.Words("", "", "", "", "", its_words)) == count * words._WORD_BYTES
