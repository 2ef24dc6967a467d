# SPDX-License-Identifier: GPL-2.0-or-later
"""Who writes the write-ahead log to the file: whoever analyses records, so that whoever stores them does not
keep the next ones waiting."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from panicast_receiver.db import schema
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.query import Query
from panicast_receiver.db.reader import Reader
from panicast_receiver.db.store import Store
from panicast_receiver.meaning import Meaning

from .test_retention import make

PAGE, BATCH = 4096, 100


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path)) as one:
        yield one


def size(path):
    return path.stat().st_size


def log_of(store):
    return store.path.with_name(f"{store.path.name}-wal")


def keep(store, first, records=BATCH):
    """Store records whose texts do not shrink, a batch in each transaction."""
    chance = random.Random(first)
    for begin in range(first, first + records, BATCH):
        texts = [chance.randbytes(3000).hex() for _ in range(BATCH)]
        store.write([make(begin + number, text=text) for number, text in enumerate(texts)])


def test_who_stores_leaves_a_long_log_to_who_analyses(store):
    before, written = size(store.path), 0
    while size(log_of(store)) <= schema.LOG_BYTES:
        keep(store, 1 + written)
        written += BATCH
    assert size(store.path) == before
    with closing(Meanings(store.path)) as meanings:
        # To have looked at one record is enough: all that the log has is in the file.
        meanings.end([(task, Meaning()) for task in meanings.begin(1)])
    assert size(store.path) > before + schema.LOG_BYTES // 2
    # The next record begins the log again, and cuts it.
    keep(store, 1 + written)
    assert size(log_of(store)) <= schema.LOG_BYTES
    with closing(Reader(store.path.parent)) as reader:
        assert len(reader.select(Query())) == written + BATCH


def test_a_short_log_is_left_alone(store):
    before = size(store.path)
    keep(store, 1)
    with closing(Meanings(store.path)) as meanings:
        meanings.fold()
    assert size(store.path) == before and 0 < size(log_of(store)) <= schema.LOG_BYTES


def test_a_log_that_nobody_else_writes_to_the_file_is_written_by_a_commit(tmp_path, monkeypatch):
    pages = 1200
    monkeypatch.setattr(schema, "_LOG_PAGES", pages)
    with closing(Store(tmp_path)) as store:
        largest = 0
        for first in range(1, 2001, BATCH):
            keep(store, first)
            largest = max(largest, size(log_of(store)))
        assert schema.LOG_BYTES < largest < 2 * pages * PAGE < size(store.path) + largest
        assert size(store.path) > pages * PAGE


def test_who_writes_the_log_to_the_file_keeps_nobody_from_writing(store):
    """Somebody is in the middle of a transaction meanwhile, which a commit of another would wait for."""
    written = 0
    while size(log_of(store)) <= schema.LOG_BYTES:
        keep(store, 1 + written)
        written += BATCH
    before = size(store.path)
    with closing(Meanings(store.path)) as meanings:
        store._db.execute("BEGIN IMMEDIATE")
        meanings.fold()
        assert size(store.path) > before + schema.LOG_BYTES // 2
        store._db.execute("COMMIT")
