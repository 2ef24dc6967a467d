# SPDX-License-Identifier: GPL-2.0-or-later
"""A group's life: open, acknowledged, muted, resolved, and open again by itself when it comes back."""

import importlib
import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.db import groups, salvage, schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.changing import changing
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.db.writing import transaction
from panicast_receiver.errors import NotFoundError, UsageError
from panicast_receiver.meaning import understand
from panicast_receiver.records.kernels import has_fix, is_release, numbers
from panicast_receiver.wire.v1 import FLAG_SEALED

from ..conftest import explain
from ..meaning.test_crash import SYSRQ
from .test_fleet import record


def now():
    """Seconds since the START of records, when it is asked: a run of all tests takes an hour."""
    return int(time.time()) - 1_700_000_000


@pytest.fixture
def store(tmp_path, passed):
    """Store records as the service does, one after the other, and look what they mean."""

    def store(*records):
        with closing(Store(tmp_path)) as opened:
            opened.write(records)
        explain(tmp_path)
        passed()

    return store


def crash(number, at, **meta):
    """One of the same crashes, each of a host of its own, so many hours from now."""
    return record("panic", f"h{number}", number, 1, now() + 3600 * at, SYSRQ, **meta)


def the_group(place):
    """The only group there is, with its story."""
    with closing(Reader(place)) as reader:
        (found,) = reader.groups(Query())
        return reader.group(found["signature"][:4])


def change(place, action, detail="", note="", by="ann"):
    """Do this to the only group there is."""
    order = groups.Order(the_group(place)["signature"], action, detail, note, by, "test")
    with changing(place) as db:
        groups.change(db, order)
    return the_group(place)["status"]


def test_each_change_is_kept_with_who_when_and_what(place, store):
    store(crash(1, -100))
    assert the_group(place)["status"]["state"] == "open" and the_group(place)["changes"] == []
    assert change(place, "acknowledge", note="the vendor has it")["by"] == "ann"
    assert change(place, "link", "https://bugs.example.org/7", by="bob")["state"] == "acknowledged"
    muted = change(place, "mute", "2h")
    assert muted["state"] == "muted" and muted["until"] > muted["since"]
    assert change(place, "reopen", by="bob")["state"] == "open"
    told = [(one["by"], one["action"], one["detail"], one["note"]) for one in the_group(place)["changes"]]
    assert told == [
        ("bob", "reopen", "", ""),
        ("ann", "mute", "2h", ""),
        ("bob", "link", "https://bugs.example.org/7", ""),
        ("ann", "acknowledge", "", "the vendor has it"),
    ]
    times = [one["at"] for one in the_group(place)["changes"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(("bound", "of"), [("_MOST_OF_ONE", "this group"), ("_MOST_A_DAY", "groups")])
def test_who_has_a_token_that_leaked_does_not_fill_the_disk(place, store, monkeypatch, bound, of):
    store(crash(1, -100))
    monkeypatch.setattr(groups, bound, 3)
    monkeypatch.setattr(groups, "_MOST_KEPT", 4)
    for _ in range(3):
        change(place, "note", note="x" * 2000)
    with pytest.raises(UsageError, match=f"there were 3 changes of {of} within a day"):
        change(place, "note", note="x")
    # Tomorrow there may be others, of which the newest are kept.
    later = time.time_ns() + 25 * 3600 * 10**9
    order = groups.Order(the_group(place)["signature"], "note", "", "later", "ann", "test")
    with changing(place) as db:
        for _ in range(3):
            groups.change(db, order, later)
    notes = [one["note"][:5] for one in the_group(place)["changes"]]
    assert notes == ["later", "later", "later", "xxxxx"]


def test_a_group_says_how_its_records_differ(place, store):
    """By the first frames: what called those has run anyway, and the numbers are of a build."""
    frame = "<4>[   11.437398]  sysrq_handle_crash+0x16/0x20\n"
    assert frame in SYSRQ
    other = SYSRQ.replace(frame, frame + frame.replace("sysrq_handle_crash", "my_detour"))
    texts = [SYSRQ, SYSRQ, other, SYSRQ.replace("+0x16/0x20", "+0x17/0x24")]
    store(*(record("panic", f"h{n}", n, 1, now() - 100 + n, text) for n, text in enumerate(texts, 1)))
    often, once = the_group(place)["by_trace"]
    assert (often["records"], once["records"]) == (3, 1) and often["title"] == once["title"]
    assert "my_detour" in once["trace"] and "my_detour" not in often["trace"]
    with closing(Reader(place)) as reader:
        ids = [entry.summary["id"] for entry in reader.select(Query())]
    assert (often["last_record"], once["last_record"]) == (ids[3], ids[2])


def test_a_mute_ends_by_itself(place, store):
    store(crash(1, -100))
    change(place, "mute", "1h")
    with changing(place) as db:
        db.execute("UPDATE group_states SET moment_ns = ?", (time.time_ns() - 10**9,))
    assert the_group(place)["status"]["state"] == "open"
    with closing(Reader(place)) as reader:
        assert not reader.groups(Query(state="muted")) and reader.groups(Query(state="open"))


@pytest.mark.parametrize("search", [None, "host:h1"], ids=["counted", "looked for"])
def test_groups_are_found_by_their_state(place, store, search):
    store(crash(1, -100))
    change(place, "acknowledge")
    with closing(Reader(place)) as reader:
        for state in groups.STATES:
            found = reader.groups(Query(state=state, search=search))
            assert len(found) == (state == "acknowledged")
            assert len(reader.select(Query(state=state, search=search))) == (state == "acknowledged")


@pytest.mark.parametrize("search", [None, "host:h*"], ids=["counted", "looked for"])
@pytest.mark.parametrize(
    ("order", "since_h", "expected"),
    [
        ("last", None, ["often", "new", "wide"]),
        ("first", None, ["new", "wide", "often"]),
        ("hosts", None, ["wide", "often", "new"]),
        ("records", None, ["often", "wide", "new"]),
        ("records", -45, ["wide", "often", "new"]),
        ("first", -45, ["new", "wide", "often"]),
    ],
)
def test_groups_come_in_any_order(place, store, search, order, since_h, expected):
    """Of what is counted since a time, too; a crash is as new as it is. Among equals the one that was seen
    last is first."""
    seen = {"often": [(1, -50), (1, -49), (1, -48), (1, -10)], "wide": [(2, -44), (3, -30), (4, -20)]}
    seen["new"] = [(5, -15)]
    text = "<0>[    1.000000] Kernel panic - not syncing: {}\n".format
    times = ((hour, name, boot) for name, many in seen.items() for boot, hour in many)
    store(
        *(
            record("panic", f"h{boot}", boot, event, now() + 3600 * hour, text(name))
            for event, (hour, name, boot) in enumerate(sorted(times), 1)
        )
    )
    since = since_h and time.time_ns() + since_h * 3600 * 10**9
    query = Query(order=order, search=search, since_ns=since, folded=True)
    with closing(Reader(place)) as reader:
        found = [group["title"].partition(": ")[2] for group in reader.groups(query)[::-1]]
        most = [group["title"].partition(": ")[2] for group in reader.groups(query._replace(limit=2))[::-1]]
    assert found == expected and most == expected[:2]


def test_it_opens_again_on_a_kernel_with_the_fix_and_on_no_older_one(place, store, caplog):
    store(crash(1, -100, release="6.12.100"))
    assert change(place, "resolve", "6.12.118, 6.1.140")["kernels"] == ["6.12.118", "6.1.140"]
    store(crash(2, 10, release="6.12.117"), crash(3, 11, release="6.1.139-amd64"))
    assert the_group(place)["status"]["state"] == "resolved" and not caplog.text
    store(crash(4, 12, release="6.1.140-1-amd64"), crash(5, 13, release="6.12.118"))
    group = the_group(place)
    assert group["status"]["state"] == "regressed"
    back = group["changes"][0]
    assert (back["action"], back["by"], back["via"]) == ("regressed", "", "receiver")
    assert back["detail"] == "on h4 with kernel 6.1.140-1-amd64"
    assert back["note"] == "it was resolved in 6.12.118,6.1.140 by ann"
    # Once, and the log says so.
    assert [one["action"] for one in group["changes"]] == ["regressed", "resolve"]
    assert caplog.text.count(f"crash {group['signature']} is back on h4 with kernel 6.1.140-1-amd64") == 1
    with closing(Reader(place)) as reader:
        told = [entry.summary for entry in reader.select(Query())]
        assert reader.burning(Ages(900), time.time_ns())["regressed"] == 1
    assert [one["host"] for one in told if one["regression"]] == ["h4"]
    assert {one["group_state"] for one in told} == {"regressed"}


def test_it_opens_again_after_a_date(place, store):
    store(crash(1, -100))
    assert change(place, "resolve")["after"] is not None
    # Received before it was resolved, understood after that: no regression.
    store(crash(2, -50))
    assert the_group(place)["status"]["state"] == "resolved"
    store(crash(3, 10))
    assert the_group(place)["status"]["state"] == "regressed"
    change(place, "resolve", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 60 * 3600)))
    store(crash(4, 30))
    assert the_group(place)["status"]["state"] == "resolved"
    store(crash(5, 90))
    assert the_group(place)["status"]["state"] == "regressed"


def test_a_record_that_is_not_believed_opens_nothing(place, store):
    store(replace(crash(1, -100), flags=FLAG_SEALED))
    change(place, "resolve")
    forged = record("panic", "h1", 7, 1, now() + 7200, SYSRQ)
    store(forged)
    with closing(Reader(place)) as reader:
        assert [entry.summary["doubted"] for entry in reader.select(Query())] == [False, True]
    assert the_group(place)["status"]["state"] == "resolved"


@pytest.mark.parametrize("seals", [True, False])
@pytest.mark.parametrize("was_sealed", [True, False])
def test_where_hosts_must_seal_only_sealed_records_open_a_group_of_sealed_ones(
    tmp_path, store, seals, was_sealed
):
    """A made-up name is none of those hosts'."""

    def happens(*records):
        with closing(Store(tmp_path)) as opened:
            opened.write(records)
        with closing(Meanings(tmp_path / schema.FILE_NAME, seals=lambda: seals)) as meanings:
            tasks = meanings.begin(16)
            meanings.end([(task, understand(task.text.decode())) for task in tasks])

    def sealed(record):
        return replace(record, flags=record.flags | FLAG_SEALED)

    first = crash(1, -100)
    happens(sealed(first) if was_sealed else first)
    change(tmp_path, "resolve")
    happens(crash(2, 10))
    expected = "resolved" if seals and was_sealed else "regressed"
    assert the_group(tmp_path)["status"]["state"] == expected
    happens(sealed(crash(3, 11)))
    assert the_group(tmp_path)["status"]["state"] == "regressed"


def test_what_was_decided_outlives_the_records(tmp_path, store):
    store(crash(1, -100))
    change(tmp_path, "resolve", "6.12.118")
    signature = the_group(tmp_path)["signature"]
    with closing(Store(tmp_path)) as opened:
        opened.delete([crash(1, -100).identity])
    with closing(Reader(tmp_path)) as reader:
        assert reader.group(signature)["status"]["state"] == "resolved" and not reader.groups(Query())
    store(crash(2, 10, release="6.12.119"))
    assert the_group(tmp_path)["status"]["state"] == "regressed"


@pytest.mark.parametrize(
    ("action", "detail", "note", "by", "words"),
    [
        ("explode", "", "", "ann", "there is no action 'explode'; there are: acknowledge, mute"),
        ("acknowledge", "now", "", "ann", "'now' is too much"),
        ("acknowledge", "", "", " ", "say who you are"),
        ("acknowledge", "", "", "a" * 65, "by is too long; it may have 64 characters"),
        ("mute", "", "", "ann", "mute: '' is neither an age"),
        ("mute", "2020-01-01", "", "ann", "is over already"),
        ("resolve", "next week", "", "ann", "is neither a kernel such as 6.12.118 nor a time"),
        ("resolve", "30d", "", "ann", "it was seen after that"),
        ("note", "", " ", "ann", "the note is empty"),
        ("link", "javascript:alert(1)", "", "ann", "is not an http or https address"),
    ],
)
def test_a_wrong_order_says_what_is_right(place, store, action, detail, note, by, words):
    store(crash(1, -100))
    with pytest.raises(UsageError) as error:
        change(place, action, detail, note, by)
    assert words in str(error.value)
    assert the_group(place)["changes"] == []


def test_there_is_no_such_group(place, store):
    store(crash(1, -100))
    with closing(Reader(place)) as reader, pytest.raises(NotFoundError, match="no group has a signature"):
        reader.group("0000")
    order = groups.Order("000000000000", "acknowledge", "", "", "ann", "test")
    with pytest.raises(NotFoundError, match="there is no group"), changing(place) as db:
        groups.change(db, order)


def test_a_group_is_changed_by_the_command(place, at, store, cli):
    store(crash(1, -100, release="6.12.100"))
    signature = the_group(place)["signature"]

    def run(*argv):
        return cli(*argv, *at, state_dir=None)

    done = run("group", signature[:5], "mute", "7d", "--note", "wait\x1b[2J", "--by", "ann")
    assert done.stdout.startswith(f"{signature} muted until 20") and done.stdout.endswith("by ann\n")
    shown = run("group", signature).stdout
    assert "state:   muted until" in shown and "wait\\x1b[2J" in shown and "\x1b" not in shown
    told = json.loads(run("group", signature, "--json").stdout)
    assert told == the_group(place)
    assert "muted" in run("groups", "--state", "muted").stdout
    wrong = run("group", signature, "mute", "gestern")
    assert wrong.returncode == 2 and "'gestern' is neither an age" in wrong.stderr


@pytest.mark.parametrize(
    ("release", "fixed", "expected"),
    [
        ("6.12.118", ["6.12.118"], True),
        ("6.12.117", ["6.12.118"], False),
        ("6.12.9", ["6.12.10"], False),
        ("6.1.0-28-amd64", ["6.1.0-28"], True),
        ("6.1.0-28-arm64", ["6.1.0-28-amd64"], True),
        ("6.1.0-27-amd64", ["6.1.0-28"], False),
        ("6.13.0-rc3", ["6.13.0"], False),
        ("6.13.0", ["6.13.0-rc3"], True),
        ("5.14.0-570.12.1.el9_6.x86_64", ["5.14.0-503.11.1.el9_5.x86_64"], True),
        ("5.14.0-503.11.1.el9_5.x86_64", ["5.14.0-570.12.1.el9_6.x86_64"], False),
        # Each series gets a fix of its own: nobody said that of 6.6.
        ("6.6.90", ["6.12.118", "6.1.140"], False),
        ("6.1.139", ["6.12.118", "6.1.140"], False),
        ("6.17.2", ["6.12.118", "6.1.140"], True),
        ("", ["6.12.118"], False),
        ("strange", ["6.12.118"], False),
    ],
)
def test_which_kernels_have_a_fix(release, fixed, expected):
    assert has_fix(release, fixed) == expected


@given(st.text(max_size=80), st.lists(st.from_regex(r"\A\d{1,3}\.\d{1,4}(\.\d{1,4})?\Z"), max_size=3))
def test_any_release_can_be_compared(release, fixed):
    assert has_fix(release, fixed) in (True, False)
    assert all(is_release(one) and has_fix(one, [one]) and numbers(one) for one in fixed)


def rename(state_dir, records, digest, monkeypatch):
    """Give so many records, at most, the name that another algorithm has for them."""
    algorithm = importlib.import_module("panicast_receiver.meaning.understand")
    monkeypatch.setattr(algorithm, "digest", digest)
    with closing(Meanings(state_dir / schema.FILE_NAME)) as meanings:
        rows = meanings._db.execute("SELECT identity FROM records ORDER BY number LIMIT ?", (records,))
        wanted = {row["identity"] for row in rows.fetchall()}
        monkeypatch.setattr("panicast_receiver.db.meanings.ALGORITHM", -1)
        known = [one for one in meanings.known(b"", 99) if one.task.identity in wanted]
        meanings.rename([(one, algorithm.understand(one.task.text.decode())) for one in known])


def states_of(state_dir):
    with closing(Reader(state_dir)) as reader:
        return {one["signature"]: one["status"]["state"] for one in reader.groups(Query())}


def test_what_was_decided_follows_a_crash_to_its_new_name(tmp_path, store, monkeypatch):
    store(crash(1, -100), crash(2, -99))
    old = the_group(tmp_path)["signature"]
    change(tmp_path, "acknowledge", note="the vendor has it")
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db, transaction(db):
        db.executemany("INSERT INTO told VALUES (?, ?, 1, 1)", [("group", old), ("kernel", f"{old} 6.1")])
    rename(tmp_path, 1, lambda name: "0123456789ab", monkeypatch)
    # While both are there, it holds for both.
    assert states_of(tmp_path) == {old: "acknowledged", "0123456789ab": "acknowledged"}
    rename(tmp_path, 2, lambda name: "0123456789ab", monkeypatch)
    assert states_of(tmp_path) == {"0123456789ab": "acknowledged"}
    assert [one["note"] for one in the_group(tmp_path)["changes"]] == ["the vendor has it"]
    with closing(Reader(tmp_path)) as reader, pytest.raises(NotFoundError):
        reader.group(old)
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db:
        told = set(db.execute("SELECT kind, about FROM told WHERE about LIKE '0123%'").fetchall())
    assert told == {("group", "0123456789ab"), ("kernel", "0123456789ab 6.1")}


def test_a_new_name_that_somebody_decided_about_keeps_that(tmp_path, store, monkeypatch):
    store(crash(1, -100))
    change(tmp_path, "acknowledge")
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db, transaction(db):
        db.execute("INSERT INTO group_states VALUES ('0123456789ab', 'muted', 'bob', 1, ?, '')", (1 << 62,))
        db.execute(
            f"INSERT INTO group_changes ({groups.CHANGE}) "
            "VALUES ('0123456789ab', 1, 'bob', 'test', 'mute', '9w', '', NULL)"
        )
    rename(tmp_path, 1, lambda name: "0123456789ab", monkeypatch)
    assert the_group(tmp_path)["status"]["state"] == "muted"
    assert [one["action"] for one in the_group(tmp_path)["changes"]] == ["mute"]


def test_recover_brings_what_was_decided_and_no_nonsense(tmp_path, store, cli):
    store(crash(1, -100))
    signature = the_group(tmp_path)["signature"]
    change(tmp_path, "mute", "2h", note="the vendor has it")
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db, transaction(db):
        db.executemany(
            f"INSERT INTO group_changes ({groups.CHANGE}) VALUES (?, ?, '', '', '', '', ?, NULL)",
            [("f" * 12, "soon", ""), ("f" * 12, 7, "x" * 9999)],
        )
    done = cli("recover", str(tmp_path / schema.FILE_NAME), state_dir=tmp_path / "new")
    assert done.returncode == 0 and "states and notes of 1 groups saved" in done.stdout
    explain(tmp_path / "new")
    new = the_group(tmp_path / "new")
    assert new["signature"] == signature and new["status"]["state"] == "muted"
    assert [one["note"] for one in new["changes"]] == ["the vendor has it"]
    # What is decided here since then stays, and nothing comes twice.
    change(tmp_path / "new", "reopen", by="bob")
    again = cli("recover", str(tmp_path / schema.FILE_NAME), state_dir=tmp_path / "new")
    assert "groups" not in again.stdout
    assert [one["by"] for one in the_group(tmp_path / "new")["changes"]] == ["bob", "ann"]


def test_what_cannot_be_read_of_decisions_is_none(tmp_path):
    (tmp_path / "x.db").write_bytes(b"SQLite format 3\0" + bytes(9000))
    assert salvage.decided(tmp_path / "x.db") == groups.Decided([], [])


def test_a_group_is_found_by_each_beginning_that_no_other_has():
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE groups (signature)")
        db.execute("CREATE TABLE group_states (signature)")
        db.executemany("INSERT INTO groups VALUES (?)", [("a0f",), ("af0",), ("aff",)])
        # One of which the records are deleted.
        db.executemany("INSERT INTO group_states VALUES (?)", [("a0f",), ("f00",)])
        for beginning, found in (("a0", "a0f"), ("AF0", "af0"), ("aff", "aff"), ("f", "f00")):
            assert groups.full(db, beginning) == found
        for beginning, words in (("af", "several groups: af0, aff"), ("b", "no group"), ("", "no group")):
            with pytest.raises(NotFoundError, match=words):
                groups.full(db, beginning)
