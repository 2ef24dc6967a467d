# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups and hosts over restarts; a database of each released version."""

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from panicast_receiver.db import boots
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.changing import changing
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError
from panicast_receiver.records.extents import Run
from panicast_receiver.records.record import Record, Source
from panicast_receiver.wire.v1 import FLAG_SEALED, HOST_BYTES

from ..conftest import explain
from ..meaning.test_crash import OOPS, SYSRQ

SECOND = 10**9
START = 1_700_000_000 * SECOND
RELEASED = sorted(Path(__file__).parent.glob("database-*.sql"))


def record(kind, host, boot, event, at, text="", **meta):
    """A whole record ``at`` seconds after the start."""
    told = {
        "host": host,
        "release": "6.1.0-56-amd64",
        "module": "0.1.0",
        "iface": "eth0",
        "mac": "52:54:00:00:00:01",
    }
    return Record(
        identity=bytes([boot]) * 16 + event.to_bytes(4, "big"),
        format="v1",
        type=kind,
        header_host=host,
        boot_id=bytes([boot]) * 16,
        event=event,
        flags=0,
        frames=1,
        time_ns=START,
        received_ns=START + at * SECOND,
        text_length=len(text.encode()),
        metadata="".join(f"{key}={value}\n" for key, value in {**told, **meta}.items()).encode(),
        runs=(Run(0, text.encode()),) if text else (),
        source=Source(ip="10.0.0.7", iface="eth0"),
    )


@pytest.fixture
def keep(tmp_path, passed):
    """Store records, each call by a service of its own, and explain them."""

    def keep(*records):
        store = Store(tmp_path)
        for one in records:
            store.write([one])
        store.close()
        explain(tmp_path)
        passed()

    return keep


def states(place, at):
    """host: state, so many seconds after the start."""
    return {host["host"]: host["state"] for host in Reader(place).hosts(Ages(900), START + at * SECOND)}


def test_a_host_becomes_silent_after_a_clock_was_ahead(keep, place):
    """It was heard in a year's time, and so not silent before."""
    year = 365 * 86400
    keep(record("hello", "h", 1, 1, year), record("hello", "h", 1, 2, 60))
    assert states(place, 120) == {"h": "armed"} and states(place, 60 + 901) == {"h": "silent"}


def test_hosts_through_their_lives(keep, place):
    keep(record("hello", "a", 1, 1, 0), record("hello", "b", 2, 1, 0), record("hello", "c", 3, 1, 0))
    assert states(place, 899) == dict.fromkeys("abc", "armed")
    keep(record("bye", "b", 2, 2, 100), record("panic", "c", 3, 2, 100, SYSRQ))
    keep(record("hello", "b", 2, 1, 101), record("hello", "c", 3, 1, 101))
    assert states(place, 899) == {"a": "armed", "b": "goodbye", "c": "panicked"}
    assert states(place, 2000) == {"a": "silent", "b": "goodbye", "c": "panicked"}
    keep(record("hello", "a", 1, 2, 1990), record("hello", "c", 4, 1, 1990), record("panic", "d", 9, 1, 1990))
    assert states(place, 2000) == {"a": "armed", "b": "goodbye", "c": "armed", "d": "panicked"}


@pytest.mark.parametrize(
    ("order", "expected"), [("name", "abc"), ("last", "cab"), ("attention", "bac")], ids=lambda value: value
)
def test_hosts_come_in_any_order(keep, place, order, expected):
    keep(
        record("hello", "a", 1, 1, 100),
        record("panic", "b", 2, 1, 50, SYSRQ),
        record("hello", "c", 3, 1, 150),
    )
    for most in (None, 2):
        found = Reader(place).hosts(Ages(900), START + 200 * SECOND, limit=most, order=order)
        assert [host["host"] for host in found] == list(expected)[:most]


def test_a_host_that_is_gone_is_retired_until_it_is_heard_again(keep, place):
    keep(record("hello", "db-1", 1, 1, 0), record("hello", "db-2", 2, 1, 0), record("hello", "web", 3, 1, 0))
    keep(record("panic", "db-2", 2, 2, 5, SYSRQ))
    with changing(place) as db:
        assert boots.with_names(db, ["DB-*"]) == ["db-1", "db-2"]
        for host in ("db-1", "db-2"):
            boots.retire(db, host, START + 10 * SECOND)
    assert states(place, 2000) == {"web": "silent"}
    reader, now_ns = Reader(place), START + 2000 * SECOND
    assert reader.host_states(Ages(900), now_ns) == {"retired": 2, "silent": 1}
    assert [host["host"] for host in reader.hosts(Ages(900), now_ns, "retired")] == ["db-1", "db-2"]
    keep(record("hello", "db-1", 1, 2, 1999), record("hello", "db-2", 4, 1, 1999))
    assert states(place, 2000) == {"db-1": "armed", "db-2": "armed", "web": "silent"}


def test_a_host_that_is_not_heard_for_days_is_retired(keep, place):
    keep(record("hello", "old", 1, 1, 0), record("bye", "new", 2, 1, 86400))
    reader, now_ns = Reader(place), START + 90 * 86400 * SECOND
    assert len(reader.hosts(Ages(900, 90), now_ns)) == 2
    assert [host["host"] for host in reader.hosts(Ages(900, 90), now_ns + 1)] == ["new"]
    assert len(reader.hosts(Ages(900, 0), now_ns + 1)) == 2


def test_retire_on_the_command_line(keep, at, cli):
    keep(record("hello", "db-1", 1, 1, 0), record("hello", "db-2", 2, 1, 0))

    def listed(*flags):
        ran = cli("hosts", "--retire-days=0", "--json", *flags, *at, state_dir=None)
        return [host["host"] for host in json.loads(ran.stdout)]

    def retire(*words):
        return cli("retire", *words, *at, state_dir=None)

    assert retire("db-?", "--dry-run").stdout.split() == ["db-1", "db-2"] == listed()
    assert "2 hosts are retired" in retire("db-?").stderr and listed() == []
    assert "1 hosts are in use" in retire("--undo", "db-2").stderr and listed() == ["db-2"]
    assert listed("--state", "retired") == ["db-1"]
    wrong = retire("db-2", "nobody")
    assert (wrong.returncode, listed()) == (2, ["db-2"]) and "no host is called nobody" in wrong.stderr


def test_interfaces_add_up_and_an_oops_is_no_panic(keep, place):
    keep(
        record("hello", "a", 1, 1, 0),
        record("hello", "a", 1, 2, 1, iface="eth1", mac="52:54:00:00:00:02", module="0.2.0"),
        record("oops", "a", 1, 3, 2, OOPS),
    )
    (host,) = Reader(place).hosts(Ages(900), START)
    assert host["interfaces"] == {"eth0": "52:54:00:00:00:01", "eth1": "52:54:00:00:00:02"}
    assert (host["state"], host["module"], host["panicked"]) == ("armed", "0.2.0", None)


def test_two_machines_of_one_name_are_two_rows_while_both_say_hello(keep, tmp_path):
    keep(record("hello", "a", 1, 1, 0), record("hello", "a", 2, 1, 10), record("hello", "a", 1, 2, 20))
    assert len(Reader(tmp_path).hosts(Ages(900), START)) == 2
    keep(record("hello", "a", 3, 1, 30))
    assert [host["boot_id"][:2] for host in Reader(tmp_path).hosts(Ages(900), START)] == ["03"]


def test_the_same_crash_of_many_hosts_is_one_group(keep, tmp_path, cli):
    keep(
        *(record("panic", f"h{n}", n, 1, n, SYSRQ, release=f"6.1.0-{n % 2}") for n in range(1, 6)),
        record("panic", "h1", 1, 2, 50, OOPS),
        record("test", "h1", 1, 3, 60, SYSRQ),
    )
    many, one = Reader(tmp_path).groups(Query())
    assert (many["hosts"], many["records"], many["kernels"]) == (5, 5, ["6.1.0-0", "6.1.0-1"])
    assert (many["title"], one["hosts"]) == ("panic: sysrq triggered crash", 1)
    assert many["first"] < many["last"] < one["first"]
    printed = cli("groups", state_dir=tmp_path).stdout
    assert printed.splitlines()[1].startswith(f"{many['signature']}  5      5")
    listed = json.loads(cli("list", "--json", "--group", many["signature"][:6], state_dir=tmp_path).stdout)
    assert {entry["host"] for entry in listed} == {f"h{n}" for n in range(1, 6)}
    assert listed[0]["crash"]["trace"][2] == "sysrq_handle_crash"
    assert "trace:" in cli("show", listed[0]["id"], state_dir=tmp_path).stdout


def test_a_group_has_all_the_titles_that_its_crashes_have(keep, tmp_path, cli):
    begins = {
        "RCU stall in my_poll": "rcu: INFO: rcu_sched self-detected stall on CPU",
        "hard lockup in my_poll": "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3",
        "soft lockup in my_poll": "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [a:7]",
    }
    texts = [f"<4>[    1.0] {begin}\n<4>[    1.0] RIP: 0010:my_poll+0x1/0x2\n" for begin in begins.values()]
    keep(*(record("panic", f"h{n}", n, 1, n, text) for n, text in enumerate(texts, 1)))
    (group,) = Reader(tmp_path).groups(Query())
    assert group["titles"] == sorted(begins) and group["title"] in begins and group["records"] == 3
    assert (
        "RCU stall in my_poll / hard lockup in my_poll / soft lockup in my_poll"
        in cli("groups", state_dir=tmp_path).stdout
    )
    (seen,) = Reader(tmp_path).groups(Query(host="h1"))
    assert seen["titles"] == ["RCU stall in my_poll"]
    listed = json.loads(cli("list", "--json", state_dir=tmp_path).stdout)
    assert "also called: stall in my_poll" in " ".join(
        cli("show", listed[0]["id"], state_dir=tmp_path).stdout.split()
    )


def test_a_completed_record_is_explained_again(keep, tmp_path):
    whole = record("panic", "a", 1, 1, 0, OOPS)
    end = OOPS.index("<4>[   92.100000][  T455] RIP:")
    keep(replace(whole, runs=(Run(0, OOPS[:end].encode()),)))
    (before,) = Reader(tmp_path).groups(Query())
    keep(replace(whole, runs=(Run(end, OOPS[end:].encode()),)))
    (after,) = Reader(tmp_path).groups(Query())
    assert before["signature"] != after["signature"]


def test_hosts_on_the_command_line(keep, tmp_path, cli):
    keep(record("hello", "a\x1b[2J", 1, 1, 0), record("bye", "b", 2, 1, 0))
    printed = cli("hosts", "--retire-days=0", state_dir=tmp_path).stdout
    assert "\x1b" not in printed and "silent" in printed and "goodbye" in printed
    (host,) = json.loads(
        cli("hosts", "--json", "--retire-days=0", "--state=goodbye", state_dir=tmp_path).stdout
    )
    assert host["host"] == "b" and host["last_seen"] == "2023-11-14T22:13:20.000000000Z"


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
def test_the_database_of_a_released_version_is_kept(dump, tmp_path, big, cli):
    with sqlite3.connect(tmp_path / "panicast.db") as db:
        db.executescript(dump.read_text())
    db.close()
    with pytest.raises(ReceiverError, match="start the service once"):
        Reader(tmp_path)
    store = Store(tmp_path)
    store.close()
    explain(tmp_path)
    reader = Reader(tmp_path)
    entries = {entry.summary["boot_id"]: entry for entry in reader.select(Query(everything=True))}
    assert len(entries) == 5
    record = reader.load(entries[big["boot_id"]])
    assert [gap.length for gap in record.gaps] == [1392]
    for run in record.runs:
        assert big["text"].encode()[run.offset : run.end] == run.data
    assert entries[big["boot_id"]].summary["signature"]
    assert {host["state"] for host in reader.hosts(Ages(900), START)} >= {"armed", "goodbye"}
    assert cli("groups", state_dir=tmp_path).returncode == 0


@pytest.mark.parametrize("value", [None, "text", b"\xff\x00", (1 << 63) - 1], ids=repr)
@pytest.mark.parametrize(
    "column", ["boot_id", "event", "flags", "frames", "header_host", "text_length", "time_ns", "type"]
)
def test_no_value_that_the_disk_has_changed_keeps_an_older_file_from_being_upgraded(column, value, tmp_path):
    """The service did not start, and heard nothing: a function of the upgrade raised an exception."""
    with closing(sqlite3.connect(tmp_path / "panicast.db")) as db:
        db.executescript(RELEASED[-1].read_text())
        with suppress(sqlite3.IntegrityError), db:
            db.execute(f"UPDATE records SET {column} = ? WHERE body IS NOT NULL", (value,))
        (count,) = db.execute("SELECT count(*) FROM records WHERE type NOT IN ('hello', 'bye')").fetchone()
    Store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "panicast.db")) as db:
        assert db.execute("SELECT count(*) FROM records").fetchone() == (count,)


#: What somebody may send ever so many of, by number: the fields that differ.
MANY = {
    "boots of a host": lambda n: {"boot_id": n.to_bytes(16, "big")},
    "greetings of boots of a host": lambda n: {"boot_id": n.to_bytes(16, "big"), "type": "hello"},
    "sealed boots of a host": lambda n: {"boot_id": n.to_bytes(16, "big"), "flags": FLAG_SEALED},
    "hosts of a boot": lambda n: {"header_host": f"h-{n}"},
    "greetings of hosts of a boot": lambda n: {"header_host": f"h-{n}", "type": "hello", "event": n},
    "long names of a boot": lambda n: {
        "header_host": "h" * HOST_BYTES,
        "metadata": f"host={'h' * HOST_BYTES}{n}\n".encode(),
        "type": "hello",
        "event": n,
    },
    "short names of a boot with long ones": lambda n: {
        "header_host": "h" * HOST_BYTES,
        "metadata": f"host={'h' * HOST_BYTES}{n}\n".encode() if n % 2 else None,
    },
    "hosts of a boot, cut short": lambda n: {"metadata": None, "header_host": f"{n:032}"},
    "events of a boot": lambda n: {"event": n},
    "records of an event": lambda n: {"event": 1},
    "records of an instant, stored later": lambda n: {"received_ns": START - 9 * SECOND * (n > 1)},
    "doubted records of an event": lambda n: {"event": 1, "flags": FLAG_SEALED * (n == 1)},
}


@pytest.mark.parametrize("many", MANY)
def test_to_store_one_more_takes_no_longer_for_all_that_somebody_has_sent(tmp_path, many):
    """SQLite counts its own steps. Who can make it look at all rows each time stops the store."""
    steps = []
    with closing(Store(tmp_path)) as store:
        store._db.set_progress_handler(lambda: steps.append(1), 10)

        def cost(start):
            del steps[:]
            store.write([one(n) for n in range(start, start + 100)])
            return len(steps)

        def one(n):
            about = {"flags": 0, **MANY[many](n)}
            made = replace(record("panic", "same", 1, 1, n), **about)
            return replace(made, identity=made.boot_id + n.to_bytes(16, "big"))

        early = cost(1)
        for start in range(101, 1001, 100):
            late = cost(start)
    assert late < 1.5 * early, (early, late)


def test_a_new_database_is_like_one_brought_up_to_date(tmp_path):
    def columns(path):
        with sqlite3.connect(path) as db:
            tables = [
                row[0]
                for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            ]
            indexes = db.execute(
                "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
            ).fetchall()
            return {
                "indexes": sorted((row[0],) for row in indexes),
                **{
                    table: sorted(row[1:] for row in db.execute(f"PRAGMA table_info({table})"))
                    for table in tables
                },
            }

    folders = [tmp_path / "new", *(tmp_path / dump.stem for dump in RELEASED)]
    for folder, dump in zip(folders, [None, *RELEASED]):
        folder.mkdir()
        if dump:
            with sqlite3.connect(folder / "panicast.db") as db:
                db.executescript(dump.read_text())
        Store(folder).close()
    new, *old = [
        {name: [column[:3] for column in table] for name, table in columns(folder / "panicast.db").items()}
        for folder in folders
    ]
    assert old and all(one == new for one in old)


def test_what_is_burning(keep, place):
    hour = 3600
    keep(record("hello", "a", 1, 1, 0), record("panic", "a", 1, 2, 10, SYSRQ), record("hello", "a", 2, 1, 99))
    keep(record("hello", "b", 3, 1, 0), record("panic", "b", 3, 2, 20 * hour, SYSRQ))
    keep(record("hello", "c", 4, 1, 0), record("panic", "c", 4, 2, 25 * hour, OOPS))
    reader, now_ns = Reader(place), START + (25 * hour + 60) * SECOND
    assert reader.burning(Ages(900), now_ns) == {
        "hour": 1,
        "day": 2,
        "new": 1,
        "regressed": 0,
        "panicked": 2,
        "silent": 1,
        "maintenance": 0,
    }
    assert reader.states_of(["a", "b", "x"], Ages(900), now_ns) == {"a": "silent", "b": "panicked"}
    assert reader.states_of([], Ages(900), now_ns) == {}
    older, newer = [group["signature"] for group in reader.groups(Query())]
    assert reader.new([older, newer], now_ns) == {newer} and reader.new([], now_ns) == set()


def test_a_late_panic_lets_no_older_word_be_believed(tmp_path):
    hello = record("hello", "a", 1, 5, 10)
    with closing(Store(tmp_path)) as store:
        store.write([hello, record("panic", "a", 1, 3, 11, SYSRQ)])
        # What is known of the boot outlives the record that told it.
        store.delete([hello.identity])
        assert [one.outcome for one in store.write([record("bye", "a", 1, 4, 12)])] == ["known"]
    assert states(tmp_path, 20) == {"a": "panicked"}


def test_a_boot_has_as_many_interfaces_as_fit(keep, tmp_path):
    keep(*(record("hello", "a", 1, n, n, iface=f"eth{n}") for n in range(1, 40)))
    with closing(Reader(tmp_path)) as reader:
        (host,) = reader.hosts(Ages(900), START + 60 * SECOND)
    assert sorted(host["interfaces"]) == sorted(f"eth{n}" for n in range(1, 17))


def test_a_boot_that_is_forgotten_leaves_its_host_the_one_before(tmp_path):
    with closing(Store(tmp_path)) as store:
        store.write([record("hello", "a", 1, 1, 0), record("hello", "a", 2, 1, 100)])
        last = store._db.execute("SELECT * FROM boots WHERE boot_id = ?", (bytes([2]) * 16,))
        boots.forget(store._db, last.fetchall())
    assert states(tmp_path, 101) == {"a": "armed"}


@pytest.mark.parametrize(
    ("word", "found"), [("a_b", ["a_b"]), ("%", ["c%d"]), ("\\", ["e\\f"]), ("A", ["a_b", "axb"])]
)
def test_hosts_are_looked_for_by_what_is_typed(keep, tmp_path, word, found):
    names = ("a_b", "axb", "c%d", "e\\f")
    keep(*(record("hello", name, n, 1, n, release="6.1") for n, name in enumerate(names, 1)))
    with closing(Reader(tmp_path)) as reader:
        hosts = reader.hosts(Ages(900), START, words=[word])
    assert [host["host"] for host in hosts] == found


@pytest.mark.parametrize(
    ("behind", "sealed", "late"),
    [
        (-1, 0, False),
        (0, 0, True),
        (63, 0, True),
        (64, 0, False),
        (0, FLAG_SEALED, True),
        (64, FLAG_SEALED, True),
    ],
)
def test_what_is_late_is_not_new_and_a_made_up_number_mutes_nobody(behind, sealed, late):
    one = replace(record("hello", "a", 1, 100, 0), flags=sealed)
    assert boots.is_late(one, 100 + behind) == late


def test_a_boot_keeps_what_a_later_hello_does_not_say(keep, tmp_path):
    less = replace(record("hello", "a", 1, 2, 9), metadata=b"host=a\n", source=Source())
    keep(record("hello", "a", 1, 1, 0), less)
    with closing(Reader(tmp_path)) as reader:
        (host,) = reader.hosts(Ages(900), START)
    assert (host["kernel"], host["module"], host["ip"]) == ("6.1.0-56-amd64", "0.1.0", "10.0.0.7")
