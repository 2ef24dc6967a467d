# SPDX-License-Identifier: GPL-2.0-or-later
"""A store, and what a sink is told of a record in it."""

from contextlib import closing

import pytest

from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.sinks.telling import notice_of as tell

from ..conftest import explain
from ..db.test_fleet import record
from ..meaning.test_crash import SYSRQ


@pytest.fixture
def store(tmp_path):
    """A store in a folder of its own."""
    with closing(Store(tmp_path)) as opened:
        yield opened


def write(store, *records):
    """Store and explain."""
    store.write(records)
    explain(store.path.parent)


@pytest.fixture
def told(store, tmp_path):
    """What a sink is told of a panic whose host has an unpleasant name."""
    write(store, record("panic", 'a<b>"]\n\x1b', 1, 1, 0, SYSRQ))
    with closing(Reader(tmp_path)) as reader:
        (entry,) = reader.select(Query())
        return tell(reader, entry)
