# SPDX-License-Identifier: GPL-2.0-or-later
"""The database: merging, versions, damage, a full disk."""

import os
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.assembly.reassembly import Limits, Reassembler
from panicast_receiver.db import damage, schema
from panicast_receiver.db.packing import from_signed, parse_gaps, to_signed
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.sqlite import SQLite
from panicast_receiver.db.store import Store
from panicast_receiver.db.writing import transaction
from panicast_receiver.errors import ReceiverError
from panicast_receiver.records.extents import MOST_PIECES, Run, merged
from panicast_receiver.records.record import Instant, Record, Source
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED, decode

from ..conftest import PATIENCE_S, wait_until

NOW = Instant(100.0, 1_700_000_000_000_000_000)
ALL = Query(everything=True)
SOMEWHERE = Source("52:54:00:00:00:01", "10.0.0.7", "eth3")


def partial(frames):
    """The record that these datagrams alone make."""
    reassembler = Reassembler(Limits(), Counter())
    done = [
        record
        for frame in frames
        for record in reassembler.feed(decode(frame), Source("aa:bb:cc:dd:ee:ff"), NOW)
    ]
    return (done + reassembler.flush())[0]


def raw_record(text=b"Kernel panic - not syncing: x", mac="52:54:00:12:34:56", identity=b"i" * 20):
    """A record of a raw frame."""
    return Record(
        identity=identity,
        format="raw",
        type="panic",
        header_host="",
        boot_id=None,
        event=None,
        flags=0,
        frames=1,
        time_ns=None,
        received_ns=NOW.wall_ns,
        text_length=len(text),
        metadata=b"",
        runs=(Run(0, text),),
        source=Source(mac),
    )


@pytest.fixture
def store(tmp_path):
    """A store in a folder of its own."""
    opened = Store(tmp_path)
    yield opened
    opened.close()


def test_a_record_is_read_back_as_it_was(store, tmp_path, big):
    record = partial(big["frames"])
    assert [stored.outcome for stored in store.write([record])] == ["new"]
    reader = Reader(tmp_path)
    (entry,) = reader.select(Query())
    assert reader.load(entry) == replace(record, runs=merged(record.runs))
    assert entry.summary["meta"] == big["meta"] and entry.summary["boot_id"] == big["boot_id"]
    assert (entry.summary["time"], entry.summary["bytes"]) == (
        "2024-11-03T16:37:08.990905069Z",
        len(big["text"]),
    )


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_parts_merge_to_the_whole_over_restarts(tmp_path_factory, big, data):
    order = data.draw(st.permutations(big["frames"]))
    cut = data.draw(st.integers(1, 5))
    folder = tmp_path_factory.mktemp("store")
    for part, outcome in ((order[:cut], "new"), (order[cut:], "completed")):
        store = Store(folder)
        assert [stored.outcome for stored in store.write([partial(part)])] == [outcome]
        store.close()
    reader = Reader(folder)
    (entry,) = reader.select(Query())
    assert entry.summary["complete"] and reader.load(entry).received_text.decode() == big["text"]
    reader.close()


def test_what_was_restored_stays_restored(store, big):
    outcomes = store.write(
        [replace(partial(big["frames"][:3]), restored=2), replace(partial(big["frames"][3:]), restored=1)]
    )
    assert [(one.outcome, one.record.restored) for one in outcomes] == [("new", 2), ("completed", 2)]


def test_what_brings_nothing_new_is_neither_written_nor_told_again(store, tmp_path, big):
    """One frame of an incomplete record, sent again and again, sent a webhook all of it each time."""
    store.write([partial(big["frames"][:4])])
    reader = Reader(tmp_path)
    newest = reader.cursor()
    again = [partial(big["frames"][number : number + 1]) for number in range(4)]
    assert [one.outcome for one in store.write(again)] == ["known"] * 4
    assert reader.cursor() == newest
    assert [one.outcome for one in store.write([partial(big["frames"][3:5])])] == ["grown"]


def test_the_metadata_that_came_first_stays(store, big):
    first = replace(partial(big["frames"][:3]), metadata=b"host=honest\n")
    second = replace(partial(big["frames"][3:]), metadata=b"host=forged\n", restored=3)
    assert [(one.outcome, one.record.metadata) for one in store.write([first, second])] == [
        ("new", b"host=honest\n"),
        ("completed", b"host=honest\n"),
    ]


def test_what_is_complete_stays_as_it_is(store, big):
    store.write([partial(big["frames"])])
    forged = replace(partial(big["frames"]), header_host="evil", runs=(Run(0, b"x" * len(big["text"])),))
    assert [stored.outcome for stored in store.write([forged, partial(big["frames"][:2])])] == [
        "known",
        "known",
    ]


def test_parts_with_ever_more_gaps_are_not_merged_for_ever_but_the_rest_is(store):
    """To merge one more part took as long as there were gaps: one frame, and the store stood still."""
    length = 8 * MOST_PIECES
    whole = replace(raw_record(), text_length=length, format="v1", metadata=b"host=h\n", runs=())

    def part(start):
        return replace(whole, runs=tuple(Run(at, b"x") for at in range(start, length, 16)))

    outcomes = [store.write([part(start)])[0].outcome for start in range(0, 16, 2)]
    assert outcomes == ["new", "grown"] + ["known"] * 6
    found = store.write([replace(whole, runs=(Run(0, b"y" * length),))])[0]
    assert found.outcome == "completed" and found.record.complete


def test_of_hello_and_bye_the_newest_is_kept_and_hidden_by_default(store, tmp_path, vectors):
    hello = partial(vectors[0]["frames"])
    newer = replace(hello, event=hello.event + 1, identity=b"n" * 20, type="bye")
    outcomes = [stored.outcome for stored in store.write([hello, hello, newer, hello])]
    assert outcomes == ["new", "known", "new", "known"]
    reader = Reader(tmp_path)
    assert reader.select(Query()) == []
    assert [entry.summary["type"] for entry in reader.select(ALL)] == ["bye"]


def test_a_raw_record_has_the_name_that_its_mac_gave_before(store, vectors):
    assert store.write([raw_record()])[0].host == "52:54:00:12:34:56"
    hello = replace(partial(vectors[0]["frames"]), source=Source())
    store.write([hello])
    assert store.write([raw_record(identity=b"j" * 20)])[0].host == "db-07"


def test_ids_are_found_by_prefix(store, tmp_path):
    store.write([raw_record(identity=bytes([number]) * 20) for number in range(40)])
    reader = Reader(tmp_path)
    entries = reader.select(Query())
    for entry in entries:
        assert reader.find(entry.summary["id"]) == entry
    with pytest.raises(ReceiverError, match="no record has an id"):
        reader.find("zz")
    first_digits = Counter(entry.summary["id"][0] for entry in entries)
    with pytest.raises(ReceiverError, match="matches several records"):
        reader.find(first_digits.most_common(1)[0][0])


def test_each_record_is_found_by_the_least_that_tells_it_from_others(store, tmp_path):
    made = [raw_record(identity=bytes([n]) * 20) for n in range(200)]
    store.write(made)
    ids = {record.id for record in made}
    with closing(Reader(tmp_path)) as reader:
        for one in ids:
            least = next(n for n in range(1, 13) if sum(other.startswith(one[:n]) for other in ids) == 1)
            assert reader.find(one[:least]).summary["id"] == one


def test_what_comes_late_of_one_moment_is_listed_at_that_moment(store, tmp_path):
    newest = replace(raw_record(identity=b"n" * 20), received_ns=NOW.wall_ns + 86400 * 10**9)
    store.write([newest, *(raw_record(identity=bytes([n]) * 20) for n in range(5))])
    with closing(Reader(tmp_path)) as reader:
        found = [entry.identity for entry in reader.select(Query())]
    assert len(found) == 6 and found[-1] == newest.identity


@given(st.integers(0, (1 << 64) - 1))
def test_every_time_of_the_wire_fits(value):
    assert from_signed(to_signed(value)) == value and -(1 << 63) <= to_signed(value) < 1 << 63


def test_one_record_that_cannot_be_stored_does_not_take_the_others_along(store, tmp_path, big):
    impossible = replace(raw_record(), received_ns=1 << 70)
    outcomes = [stored.outcome for stored in store.write([impossible, partial(big["frames"])])]
    assert outcomes == ["refused", "new"]
    assert len(Reader(tmp_path).select(Query())) == 1


def test_two_services_cannot_share_a_folder(store, tmp_path):
    with pytest.raises(ReceiverError, match="another panicast-receiver"):
        Store(tmp_path)


def test_a_newer_schema_is_refused(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "panicast.db") as db:
        db.execute("PRAGMA user_version = 99")
    for opener in (Store, Reader):
        with pytest.raises(ReceiverError, match="written by a newer panicast-receiver"):
            opener(tmp_path)


@pytest.mark.parametrize("opener", [Store, Reader])
def test_other_files_are_left_alone(tmp_path, opener):
    path = tmp_path / "panicast.db"
    content = b"something else entirely\n" * 100
    path.write_bytes(content)
    if opener is Reader:
        with pytest.raises(ReceiverError, match="is damaged"):
            opener(tmp_path)
        assert path.read_bytes() == content
    else:
        opener(tmp_path).close()
        assert [file.read_bytes() for file in damage.aside(path)] == [content]
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ReceiverError, match="not a panicast database"):
        opener(tmp_path)


def test_a_full_disk_is_waited_out_and_nothing_is_lost(store, tmp_path, big, monkeypatch):
    """SQLite's own page limit fails as a full disk does."""
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    handoff = Handoff()
    committer = Committer(handoff, store)
    tries = []
    write = store.write

    def make_room_at_the_third_try(records):
        tries.append(len(records))
        if len(tries) == 3:
            store._db.execute("PRAGMA max_page_count = 100000")
        return write(records)

    monkeypatch.setattr(store, "write", make_room_at_the_third_try)
    monkeypatch.setattr("panicast_receiver.service.committer.RETRY_S", 0.01)
    for number in range(3):
        handoff.put([raw_record(os.urandom(1024) * 8, identity=bytes([number]) * 20)])
    handoff.put([partial(big["frames"])])
    handoff.close()
    committer.start()
    committer.join(PATIENCE_S)
    assert tries == [4, 4, 4] and not committer.failed
    assert len(Reader(tmp_path).select(Query())) == 4


def test_nobody_who_writes_without_a_pause_overtakes_who_waits(store):
    """The store does in a flood, and each sink writes for each record that it delivers."""
    turns_taken, stopping = [], threading.Event()

    def write():
        while not stopping.is_set():
            with transaction(store._db):
                time.sleep(0.005)
            turns_taken.append(1)

    thread = threading.Thread(target=write)
    waited = []
    with closing(schema.open_writer(store.path)) as second:
        thread.start()
        wait_until(lambda: turns_taken)
        for _ in range(21):
            before = len(turns_taken)
            with transaction(second):
                waited.append(len(turns_taken) - before)
        stopping.set()
        thread.join()
    # Of a busy machine's threads, one may stand still before it is its turn.
    assert sorted(waited)[10] <= 2, waited


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("[]", []),
        ("[[0, 2], [4, 6]]", [[0, 2], [4, 6]]),
        ("[[4, 7]]", [[0, 10]]),
        ("[[4, 0]]", [[0, 10]]),
        ("[[-1, 2]]", [[0, 10]]),
        ("[[4, 2], [5, 2]]", [[0, 10]]),
        ("[[4]]", [[0, 10]]),
        ("[" * 99_999, [[0, 10]]),
    ],
)
def test_gaps_that_cannot_be_are_a_gap_of_all(text, known):
    assert parse_gaps(text, 10) == known


def test_an_entry_says_where_text_is_missing_and_what_the_flags_say(store, tmp_path, big):
    """No two of the flags that an entry has are the same, so that none stands for another."""
    some = replace(partial(big["frames"][1:4]), flags=FLAG_OLDER_TEXT, metadata=None, source=SOMEWHERE)
    store.write([some, raw_record(mac="")])
    with closing(SQLite(tmp_path)) as asked:
        first, raw = (
            asked.entry(row).summary
            for row in asked.each(f"SELECT {asked.summary} FROM records ORDER BY format DESC", [])
        )
        assert asked.size() == sum(
            (tmp_path / name).stat().st_size for name in ("panicast.db", "panicast.db-wal")
        )
    assert first["gaps"] == [{"offset": gap.offset, "bytes": gap.length} for gap in some.gaps] != []
    flags = ("older_text", "sealed", "contested", "doubted", "complete", "metadata_missing", "regression")
    assert [name for name in flags if first[name]] == ["older_text", "metadata_missing"]
    assert first["source"] == dict(zip(("mac", "ip", "iface"), SOMEWHERE[:3]))
    # Metadata that is empty is not missing, and says no release.
    assert (raw["metadata_missing"], raw["release"]) == (False, "")


def test_who_is_contested_and_who_is_doubted_is_told(store, tmp_path, big):
    whole = partial(big["frames"])

    def claim(event, name, flags=0, kind="panic"):
        identity = whole.boot_id + event.to_bytes(4, "big") + name
        return replace(whole, type=kind, flags=flags, event=event, identity=identity)

    one, other, sealed = claim(1, b"one"), claim(1, b"other"), claim(2, b"sealed", FLAG_SEALED)
    # Late: unsealed, of a host that has sealed something.
    late, again, hello = claim(3, b"late"), claim(3, b"again"), claim(4, b"hello", kind="hello")
    told = store.write([one, other, sealed, late, again, hello])
    assert [(stored.contested, stored.doubted) for stored in told] == [
        (False, False),
        (True, False),
        (False, False),
        (False, True),
        (True, True),
        (False, True),
    ]
    with closing(Reader(tmp_path)) as reader:
        said = [reader.find(made.id).summary for made in (one, other, sealed, late, again)]
    # The first one is contested as soon as there is another; what is doubted anyhow is not shown as that.
    assert [(each["contested"], each["doubted"]) for each in said] == [
        (True, True),
        (True, True),
        (False, False),
        (False, True),
        (False, True),
    ]


def test_the_folder_is_made_for_the_group_alone(tmp_path):
    before = os.umask(0)
    try:
        Store(tmp_path / "one" / "two").close()
    finally:
        os.umask(before)
    assert (tmp_path / "one" / "two").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("mac", "ip", "host"), [("aa", "10.0.0.7", "aa"), (None, "10.0.0.7", "10.0.0.7"), (None, None, "")]
)
def test_who_has_no_name_has_its_address_and_must_seal_by_that(store, mac, ip, host):
    unknown = replace(raw_record(), source=Source(mac, ip))
    store.sealed_hosts = [host or "x"]
    assert store.write([unknown])[0].outcome == ("not sealed" if host else "new")
    sealed = replace(unknown, flags=FLAG_SEALED, identity=b"s" * 20)
    assert store.write([sealed])[0][1:3] == ("new", host)
