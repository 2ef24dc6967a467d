# SPDX-License-Identifier: GPL-2.0-or-later
"""The labels of hosts: who gets which, who finds them, and that they go when their host does."""

import time
from contextlib import closing

import pytest

from panicast_receiver.cli import main as command_line
from panicast_receiver.db import boots, labels, schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.follower import Follower
from panicast_receiver.db.query import Query
from panicast_receiver.db.reader import Reader
from panicast_receiver.db.search import Term, parse, words_of
from panicast_receiver.db.store import Store
from panicast_receiver.records.labels import parse as rules

from ..conftest import explain
from ..meaning.test_crash import OOPS, SYSRQ
from .test_fleet import START, record

AGES = Ages(900)
LINES = """
*       owner=ops
db-*    owner=dba role=database
db-03   rack=R12 owner=
d[b]*   role=never
"""


def put(state_dir, text):
    with closing(schema.open_writer(state_dir / schema.FILE_NAME)) as db:
        return labels.put(db, rules(text, "f"))


def held(state_dir):
    """What is kept of labels, by host."""
    with closing(schema.open_writer(state_dir / schema.FILE_NAME)) as db:
        found = {}
        for host, name, value in db.execute("SELECT host, name, value FROM labels"):
            found.setdefault(host, {})[name] = value
    return found


@pytest.fixture
def store(tmp_path):
    """Keep records as the service does."""
    with closing(Store(tmp_path)):
        pass

    def keep(*records):
        with closing(Store(tmp_path)) as opened:
            opened.write(records)
        explain(tmp_path)

    return keep


def test_a_host_has_what_the_last_line_says_of_each_name(tmp_path, store):
    store(*(record("hello", name, n, 1, n) for n, name in enumerate(("db-01", "DB-03", "web-1", "d[b]7"), 1)))
    assert put(tmp_path, LINES)
    assert held(tmp_path) == {
        "db-01": {"owner": "dba", "role": "database"},
        "DB-03": {"role": "database", "rack": "R12"},
        "web-1": {"owner": "ops"},
        "d[b]7": {"owner": "ops", "role": "never"},
    }
    # The same again changes nothing; others do, also none.
    assert not put(tmp_path, LINES)
    assert put(tmp_path, "web-? rack=r1") and held(tmp_path) == {"web-1": {"rack": "r1"}}
    assert put(tmp_path, "") and held(tmp_path) == {} and not put(tmp_path, "")


def test_what_was_cut_off_goes_on(tmp_path, store, monkeypatch):
    store(*(record("hello", f"h{n}", n, 1, n) for n in range(1, 6)))
    monkeypatch.setattr(labels, "_BATCH", 2)
    steps = []

    def give(db, host):
        steps.append(host)
        if len(steps) > 3:
            raise OSError("power cut")
        own(db, host)

    own = labels.give
    monkeypatch.setattr(labels, "give", give)
    with pytest.raises(OSError, match="power cut"):
        put(tmp_path, "* a=b")
    assert len(held(tmp_path)) == 2
    monkeypatch.setattr(labels, "give", own)
    assert put(tmp_path, "* a=b") and len(held(tmp_path)) == 5


def test_a_host_gets_them_with_its_first_word_and_leaves_none(tmp_path, store):
    put(tmp_path, LINES)
    crash = record("panic", "db-09", 1, 1, 0, SYSRQ)
    store(crash, record("hello", "web-2", 2, 1, 0))
    assert held(tmp_path) == {"db-09": {"owner": "dba", "role": "database"}, "web-2": {"owner": "ops"}}
    with closing(Store(tmp_path)) as opened:
        # What is known of its boot outlives the record.
        opened.delete([crash.identity])
        assert set(held(tmp_path)) == {"db-09", "web-2"}
        boots.forget(opened._db, opened._db.execute("SELECT * FROM boots").fetchall())
    assert held(tmp_path) == {}


def test_a_host_that_says_no_hello_has_labels_too(tmp_path, store):
    put(tmp_path, LINES)
    raw = record("oops", "db-01", 1, 1, 0, OOPS)
    store(raw)
    with closing(Store(tmp_path)) as opened:
        boots.forget(opened._db, opened._db.execute("SELECT * FROM boots").fetchall())
        assert set(held(tmp_path)) == {"db-01"}
        opened.delete([raw.identity])
    assert held(tmp_path) == {}


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("label:rack=r12", ["a"]),
        ("label:rack=R1*", ["a", "b"]),
        ("label:rack", ["a", "b"]),
        ("-label:rack", ["c"]),
        ('label:"owner=data base"', ["b"]),
        ("label:rack label:owner", ["b"]),
        ("label:row=ÖST", ["c"]),
        ("label:rack -label:rack=r12", ["b"]),
        ("label:rack=", []),
        ("label:rack=r[1]2", []),
        ("label:rack sysrq", ["a", "b"]),
        ("sysrq -label:rack=r12", ["b", "c"]),
    ],
)
def test_records_and_hosts_are_found_by_labels(tmp_path, store, search, found):
    put(tmp_path, "a rack=r12\nb rack=r13 owner='data base'\nC row=Öst\n")
    start = Follower(tmp_path).reader().cursor()
    store(*(record("panic", name, n, 1, n, SYSRQ) for n, name in enumerate("abc", 1)))
    store(*(record("hello", name, n, 2, n + 9) for n, name in enumerate("abc", 1)))
    with closing(Reader(tmp_path)) as reader:
        assert [one.summary["host"] for one in reader.select(Query(search=search))] == found
        assert [one.summary["host"] for one in reader.select(Query(search=search, host="a"))] == (
            ["a"] if "a" in found else []
        )
        assert sum(group["hosts"] for group in reader.groups(Query(search=search))) == len(found)
        assert [one.summary["host"] for one in reader.changed_since(start, Query(search=search))] == found
        if "sysrq" not in search:
            hosts = reader.hosts(AGES, START, words=words_of(search))
            assert [host["host"] for host in hosts] == found
            greeted = reader.select(Query(search=search, type="hello"))
            assert [one.summary["host"] for one in greeted] == found


@pytest.mark.parametrize("text", ["label:9", "label:a-b=1", "label:rack=" + "x" * 65])
def test_a_label_that_cannot_be_is_explained(text):
    with pytest.raises(ValueError, match=r"is not a label|the value of rack is wrong"):
        parse(text)


def test_a_label_is_a_term_of_its_own():
    asked = parse('nvme label:rack=r12 -label:role "a b"')
    assert asked.labels == (Term("rack", "r12"), Term("role", "*", absent=True))
    assert [one.words for one in asked.found] == ["nvme", "a b"] and not asked.absent


def test_records_and_hosts_say_their_labels(tmp_path, store, capsys):
    put(tmp_path, "a rack=r12 owner='data base'\n")
    store(record("panic", "a", 1, 1, 0, SYSRQ), record("hello", "b", 2, 1, 0))
    with closing(Reader(tmp_path)) as reader:
        (entry,) = reader.select(Query())
        said = {"owner": "data base", "rack": "r12"}
        assert entry.summary["labels"] == said
        hosts = {one["host"]: one["labels"] for one in reader.hosts(AGES, START)}
        assert hosts == {"a": said, "b": {}} and reader.boots_of("a", AGES, START)[0]["labels"] == said
    where = ("--state-dir", str(tmp_path))
    assert command_line.main(["hosts", "--retire-days=0", "--search", "label:rack=r12", *where]) == 0
    listed = capsys.readouterr().out
    assert "owner=data base rack=r12" in listed and len(listed.splitlines()) == 2
    assert command_line.main(["show", entry.summary["id"], *where]) == 0
    assert "labels:" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command_line.main(["hosts", "--search", "label:9", *where])
    assert "'9=*' is not a label" in capsys.readouterr().err


def test_counts_have_bounds(tmp_path, store, monkeypatch):
    put(tmp_path, "\n".join(f"h{n} rack=r{n} role=web" for n in range(1, 5)))
    store(*(record("hello", f"h{n}", n, 1, n) for n in range(1, 5)))
    with closing(Reader(tmp_path)) as reader:
        found = reader.labelled(AGES, START)
        assert found[("role", "web", "armed")] == 4 and found[("rack", "r1", "armed")] == 1
        monkeypatch.setattr(labels, "MOST_VALUES", 3)
        assert reader.labelled(AGES, START) == {("role", "web", "armed"): 4}
        monkeypatch.setattr(labels, "MOST_VALUES", 9)
        monkeypatch.setattr(labels, "MOST_COUNTS", 2)
        assert len(reader.labelled(AGES, START)) == 2


def test_a_name_that_is_made_for_it_takes_no_time(tmp_path):
    """Of the letters that stand between the stars of a pattern, in all their number."""
    with closing(Store(tmp_path)) as store:
        put(tmp_path, "*a*a*a*a*a*a*a*a*b x=1")
        began = time.process_time()
        store.write([record("panic", "a" * 32, 1, 1, 0)])
        long = record("hello", "", 2, 1, 1)
        name = "a" * 255
        store.write([long.__class__(**{**vars(long), "metadata": f"host={name}\n".encode()})])
        assert time.process_time() - began < 5
    assert held(tmp_path) == {}
