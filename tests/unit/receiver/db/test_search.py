# SPDX-License-Identifier: GPL-2.0-or-later
"""The search language, and what it finds."""

import time
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.db import search, words
from panicast_receiver.db.follower import Follower
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store

from ..conftest import explain
from ..meaning.test_crash import OOPS, SYSRQ
from .test_fleet import SECOND, START, record

DRILL = "<6>[ 1.0] panicast: a drill of 'Zoë'\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three crashes, and a test record."""
    made = tmp_path_factory.mktemp("searched")
    store = Store(made)
    with closing(store):
        store.write(
            [
                record("panic", "db-01.example.net", 1, 1, 0, OOPS, release="6.1.118-amd64"),
                record("panic", "db-02.example.net", 2, 1, 60, SYSRQ, release="6.12.9-amd64"),
                record("oops", "web-01.example.net", 3, 1, 120, OOPS, release="6.1.9-amd64"),
                record(
                    "test",
                    "web-02.example.net",
                    4,
                    1,
                    180,
                    "<6>[ 1.0] panicast: a drill of 'Zoë'\n",
                    release="5.10.0",
                    tag="row-7",
                ),
            ]
        )
    explain(made)
    return made


def hosts(folder, text, **query):
    """The first words of the hosts that are found, oldest first."""
    reader = Reader(folder)
    with closing(reader):
        return [
            entry.summary["host"].partition(".")[0] for entry in reader.select(Query(search=text, **query))
        ]


ALL = ["db-01", "db-02", "web-01", "web-02"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("example", ALL),
        ("exam", ALL),
        ("xample", []),
        ("sysrq", ["db-02"]),
        ("host:db-*", ["db-01", "db-02"]),
        ("host:db", ["db-01", "db-02"]),
        ("host:01", []),
        ("kernel:6.1", ["db-01", "web-01"]),
        ("kernel:6.12", ["db-02"]),
        ("kind:oops", ["web-01"]),
        ("kind:oops -web", []),
        ("-host:db", ["web-01", "web-02"]),
        ("example -sysrq -kind:test", ["db-01", "web-01"]),
        ('"a drill of"', ["web-02"]),
        ('"drill a"', []),
        ("text:drill", ["web-02"]),
        ("sym:drill", []),
        ("about:row-7", ["web-02"]),
        ("Zoë", ["web-02"]),
        ("since:2023-11-14T22:15:00", ["web-01", "web-02"]),
        ("example since:2023-11-14T22:15:00", ["web-01", "web-02"]),
        ("nosuchfield:drill", []),
        ("panicast:", ["web-02"]),
        ("' OR 1=1 --", []),
        ('a" OR "b', []),
        ("NEAR(a b)", []),
        ("*", None),
        ("-", None),
        ("since:yesterdayish", None),
    ],
)
def test_what_is_found(folder, text, found):
    if found is None:
        with pytest.raises(ValueError):
            hosts(folder, text)
    else:
        assert hosts(folder, text) == found


def test_a_search_keeps_to_the_other_conditions(folder):
    assert hosts(folder, "example", limit=2) == ["web-01", "web-02"]
    assert hosts(folder, "example", host="db-02.example.net") == ["db-02"]
    assert hosts(folder, "example", type="panic") == ["db-01", "db-02"]
    assert hosts(folder, "example", since_ns=START + 60 * SECOND) == ["db-02", "web-01", "web-02"]
    reader = Reader(folder)
    with closing(reader):
        newest = reader.select(Query(search="example", limit=1))[0]
    assert hosts(folder, "example", before=newest.number) == ALL[:3]


@given(st.text(max_size=60))
def test_no_text_is_an_error_of_sqlites(folder, text):
    try:
        search.parse(text)
    except ValueError:
        return
    hosts(folder, text)


def test_a_follower_that_looks_for_words_waits_until_they_are_known(tmp_path):
    now = int(time.time()) - START // SECOND
    store = Store(tmp_path)
    with closing(store):
        follower = Follower(tmp_path)
        cursor = follower.reader().cursor()
        store.write([record("panic", "db-1", 1, 1, now, OOPS), record("panic", "db-2", 2, 1, now, SYSRQ)])
        query = Query(search="sysrq")
        assert follower.after(cursor, query) == [] and follower.held
        explain(tmp_path)
        assert [entry.summary["host"] for entry in follower.after(cursor, query)] == ["db-2"]
        follower.close()


def test_of_a_long_text_the_end_is_found():
    text = b"beginning\n" + b"<6>[    1.0] x\n" + b"y" * words._MOST_TEXT + b"\nending\n"
    assert "ending" in words.of_text(text) and "beginning" not in words.of_text(text)
