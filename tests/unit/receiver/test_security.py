# SPDX-License-Identifier: GPL-2.0-or-later
"""Sealed frames, keys, rates, quotas, replay; what a forger cannot do."""

import json
import os
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.rates import Rate, SenderRates
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.db import outlook
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.wire.sealing import (
    MasterKey,
    SharedKey,
    host_field,
    open_frame,
    read_keys,
    seal_datagram,
    seal_frame,
)
from panicast_receiver.wire.v1 import FLAG_SEALED, TAG_BYTES, Drop, decode, encode

from .conftest import ring_block, udp_frame
from .db.test_fleet import record

NOW = Instant(100.0, 1_700_000_000_000_000_000)
HERE = Source("52:54:00:12:34:56", "10.0.0.7", "eth0")


@pytest.fixture(scope="session")
def sealed(vectors):
    """The vectors that are sealed."""
    return [vector for vector in vectors if vector["key"]]


def intake_with(vector, **more):
    """An intake that has the vector's key."""
    intake = Intake(Limits(), 60)
    intake.keys = {vector["frames"][0][7]: SharedKey(bytes.fromhex(vector["key"]))}
    for name, value in more.items():
        setattr(intake, name, value)
    return intake


def fed(intake, datagrams, source=HERE):
    """The records that datagrams make."""
    return [record for data in datagrams for record in intake.feed(Packet(data, source), NOW)]


def test_sealed_vectors_are_opened_and_can_be_made(sealed):
    assert len(sealed) == 3
    for vector in sealed:
        (found,) = fed(intake_with(vector, require_sealed=True), vector["frames"])
        assert (found.received_text.decode(), found.meta) == (vector["text"], vector["meta"])
        key = bytes.fromhex(vector["key"])
        for data in vector["frames"]:
            assert seal_frame(data[:80], open_frame(data, key), key) == data


def test_a_sealed_frame_that_came_already_is_not_opened_again(sealed, monkeypatch):
    """That costs more than to see that it brings nothing new."""
    opened = []

    def noted(datagram, key):
        opened.append(datagram)
        return open_frame(datagram, key)

    monkeypatch.setattr("panicast_receiver.assembly.intake.open_frame", noted)
    vector = max(sealed, key=lambda one: len(one["frames"]))
    intake = intake_with(vector)
    assert fed(intake, vector["frames"][1:] * 2) == []
    assert opened == vector["frames"][1:]
    assert intake.counts["duplicate"] == len(opened)


def test_what_is_sealed_afterwards_is_the_same_but_for_flag_and_key_id(big):
    key = b"k" * 32
    made = [seal_datagram(frame, 7, key) for frame in big["frames"]]
    for frame, other in zip(big["frames"], made, strict=True):
        assert other[:6] + other[8:80] == frame[:6] + frame[8:80]
        assert (other[6], other[7]) == (frame[6] | FLAG_SEALED, 7)
        assert open_frame(other, key) == frame[80:] and open_frame(other, b"l" * 32) is None
    intake = Intake(Limits(), 60)
    intake.keys, intake.require_sealed = {7: SharedKey(key)}, True
    (found,) = fed(intake, made)
    assert found.received_text.decode() == big["text"]


@pytest.mark.parametrize(
    ("name", "field"),
    [("db-07", b"db-07" + bytes(27)), ("h" * 40, b"h" * 32), ("\xfc\udcff", b"\xc3\xbc\xff" + bytes(29))],
)
def test_a_hosts_key_is_known_by_the_field_of_the_header(name, field):
    assert host_field(name) == field


def test_sealed_frames_through_the_ring(sealed):
    for vector in sealed:
        intake = intake_with(vector)
        frames = [udp_frame(data) for data in vector["frames"] * 2]
        (found,) = intake.feed_block(ring_block(frames), 0, len(frames), NOW, lambda index: None)
        assert found.received_text.decode() == vector["text"]
        assert intake.counts["duplicate"] == len(vector["frames"])


@settings(deadline=None)
@given(st.data())
def test_a_changed_bit_anywhere_is_not_believed(sealed, data):
    vector = sealed[0]
    frames = list(vector["frames"])
    number = data.draw(st.integers(0, len(frames) - 1))
    bit = data.draw(st.integers(0, 8 * len(frames[number]) - 1))
    changed = bytearray(frames[number])
    changed[bit // 8] ^= 1 << bit % 8
    intake = intake_with(vector, require_sealed=True)
    assert fed(intake, [bytes(changed)]) == [] and intake.flush() == []
    # Nor does it keep the honest frame out.
    (found,) = fed(intake, frames)
    assert found.received_text.decode() == vector["text"]


def test_without_the_key_or_without_a_seal_there_is_nothing(sealed, big):
    intake = intake_with(sealed[0], keys={9: SharedKey(b"k" * 32)})
    assert fed(intake, sealed[0]["frames"]) == [] and intake.counts == {
        "packets": len(sealed[0]["frames"]),
        "sealed, no key": len(sealed[0]["frames"]),
    }
    intake = intake_with(sealed[0], require_sealed=True)
    assert fed(intake, big["frames"]) == [] and intake.counts["not sealed"] == len(big["frames"])
    raw = udp_frame(b"x")[:23] + b"\xff" + udp_frame(b"x")[24:]
    assert intake.feed(Packet(raw, HERE, ethernet=True), NOW) == []


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("1 " + "ab" * 32 + "\n# comment\n\n200 " + "cd" * 32 + " # new\n", 0o600, None),
        ("1 " + "ab" * 32, 0o640, "others may read .* chmod 600"),
        ("0 " + "ab" * 32, 0o600, "line 1: right is a key id from 1 to 255"),
        ("1 abcd", 0o600, "line 1: right is"),
        ("1 " + "ab" * 32 + "\n1 " + "cd" * 32, 0o600, "line 2: right is .* once"),
    ],
)
def test_key_files(tmp_path, text, mode, problem):
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(mode)
    if problem is None:
        found = {number: key.of(b"") for number, key in read_keys(path).items()}
        assert found == {1: b"\xab" * 32, 200: b"\xcd" * 32}
    else:
        with pytest.raises(ReceiverError, match=problem):
            read_keys(path)


def test_without_the_library_keys_are_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr("panicast_receiver.wire.sealing.HAVE_NACL", False)
    with pytest.raises(ReceiverError, match="install python3-nacl"):
        read_keys(tmp_path / "keys")


def test_keygen_makes_what_the_service_reads(cli, serve, tmp_path, sealed):
    made = cli("keygen", "--id", "7").stdout
    vector = sealed[0]
    path = tmp_path / "keys"
    path.write_text(f"{made}{vector['frames'][0][7]} {vector['key']}\n")
    path.chmod(0o600)
    receiver = serve("--key-file", str(path), "--require-sealed")
    receiver.send(vector["frames"])
    receiver.wait_for("record .* panic")
    assert receiver.stop() == 0
    (found,) = json.loads(cli("list", "--json").stdout)
    assert found["sealed"] and found["complete"]
    refused = cli("serve", "--require-sealed", "--listen", "127.0.0.1:0")
    assert refused.returncode == 2 and "key_file" in refused.stderr


#: The example of docs/wire.md: the master 00 01 ... 1f and the key of a host.
MASTER, HOST = bytes(range(32)), "db-07.example.net"
HOST_KEY = "66f37ea043f1e4da0bc50c6e5e1380255a5851578a7690ed3f01222637867398"


def test_a_host_has_a_key_of_its_own_and_forges_no_other(cli, tmp_path):
    path = tmp_path / "keys"
    path.write_text(cli("keygen", "--id", "3").stdout + f"4 master {MASTER.hex()}\n")
    path.chmod(0o600)
    made = cli("keygen", "--id", "4", "--for", HOST, "--key-file", str(path)).stdout
    assert made == f"4 {HOST_KEY}\n"
    refused = cli("keygen", "--id", "3", "--for", HOST, "--key-file", str(path))
    assert refused.returncode == 1 and "no master key with the id 3" in refused.stderr
    intake = Intake(Limits(), 60)
    intake.keys = read_keys(path)
    for name, count in ((HOST, 1), ("db-08.example.net", 0)):
        (plain,) = encode("hello", b"b" * 16, 1, 1, name, f"host={name}\n".encode(), b"")
        head = plain[:6] + b"\1\4" + plain[8:80]
        data = seal_frame(head, plain[80:], bytes.fromhex(HOST_KEY))
        assert len(fed(intake, [data])) == count
    assert intake.counts["sealed, but not with our key"] == 1
    # Nor by its own header and another's name in the metadata.
    (plain,) = encode("hello", b"c" * 16, 1, 1, HOST, b"host=db-08.example.net\n", b"")
    data = seal_frame(plain[:6] + b"\1\4" + plain[8:80], plain[80:], bytes.fromhex(HOST_KEY))
    assert [one.host for one in fed(intake, [data])] == [HOST]


def test_a_master_is_made_and_told_apart(cli, tmp_path):
    path = tmp_path / "keys"
    path.write_text(cli("keygen", "--master").stdout)
    path.chmod(0o600)
    key = read_keys(path)[1]
    assert isinstance(key, MasterKey) and key.of(host_field("a")) != key.of(host_field("b"))
    assert cli("keygen", "--for", "a").returncode == 2


def test_of_sealed_hosts_nothing_unsealed_is_taken(tmp_path, big, sealed):
    intake = intake_with(sealed[0], sealed_hosts=[big["host"][:3].upper() + "*"])
    assert fed(intake, big["frames"]) == [] and intake.counts["not sealed"] == len(big["frames"])
    assert len(fed(intake, sealed[0]["frames"])) == 1
    store = Store(tmp_path)
    store.sealed_hosts = ["db-*"]
    hidden = replace(record("panic", "db-07", 1, 1, 0), header_host="")
    outcomes = [one.outcome for one in store.write([hidden, record("panic", "web", 2, 1, 0), seal(hidden)])]
    assert outcomes == ["not sealed", "new", "new"]
    store.close()


def test_rates():
    rate = Rate(60)
    assert [rate.allows("a", 0.0) for _ in range(61)] == [True] * 60 + [False]
    assert rate.allows("b", 0.0) and rate.allows("a", 1.0) and not rate.allows("a", 1.0)
    assert all(Rate(0).allows("a", 0.0) for _ in range(1000))
    rates = SenderRates(per_source=10, per_mac=15)
    allowed = [rates.allows(HERE._replace(ip=f"10.0.0.{n % 2}"), 0.0) for n in range(40)]
    assert allowed.count(True) == 15
    assert all(rates.allows(Source(), 0.0) for _ in range(100))


def test_one_sender_does_not_push_out_another(big):
    intake = Intake(Limits(records=50), 60)
    intake.rates.sources.per_minute = 20
    forger = HERE._replace(mac="02:00:00:00:00:99", ip="10.0.0.99")
    half = len(big["frames"]) // 2
    assert fed(intake, big["frames"][:half]) == []
    for number in range(500):
        (first, *_) = encode("panic", number.to_bytes(16, "big"), 1, 1, "x", b"host=x\n", b"y" * 9000)
        fed(intake, [first], forger)
    assert intake.counts["sender begins too many records"] == 480 and intake.reassembler.in_flight == 21
    (found,) = fed(intake, big["frames"][half:])
    assert found.complete


def test_a_flood_of_forged_frames_fills_neither_memory_nor_store(big):
    """Each frame from another sender and of another record, as fast as can be: the honest one is kept."""
    intake = Intake(Limits(records=1000, memory=4 << 20), 60)
    stored = []
    for number in range(20_000):
        source = HERE._replace(mac=f"02:00:00:00:{number >> 8 & 255:02x}:{number & 255:02x}")
        (first, *_) = encode("panic", number.to_bytes(16, "big"), 1, 1, "x", b"host=x\n", b"y" * 9000)
        stored += fed(intake, [first], source)
        if number % 300 == 0 and number // 300 < len(big["frames"]):
            stored += fed(intake, [big["frames"][number // 300]])
        assert intake.reassembler.in_flight <= 1000
    assert [record.complete for record in stored] == [True]
    # The others are held until a second frame comes.
    assert intake.counts["lone frames dropped for room"] > 10_000


def test_replayed_records_do_nothing_even_after_they_were_deleted(tmp_path):
    store = Store(tmp_path)
    old, hello = record("panic", "a", 1, 2, 5), record("hello", "a", 1, 1, 0)
    store.write([hello, old])
    assert [stored.outcome for stored in store.write([old, hello])] == ["known", "known"]
    store.delete([old.identity, hello.identity])
    later = [replace(one, received_ns=one.received_ns + 10**15) for one in (old, hello)]
    assert [stored.outcome for stored in store.write(later)] == ["known", "known"]
    reader = Reader(tmp_path)
    assert reader.select(Query(everything=True)) == []
    assert reader.hosts(Ages(900), NOW.wall_ns)[0]["last_seen"].startswith("2023-11-14T22:13:25")
    store.close()


def test_retention_by_age_host_and_size(tmp_path):
    store = Store(tmp_path)
    many = [record("panic", f"h{n % 3}", n % 3, n, n, os.urandom(3000).hex()) for n in range(1, 200)]
    store.write([replace(one, runs=one.runs[:0]) if n % 10 == 0 else one for n, one in enumerate(many)])

    def after(retention):
        while store.expire(retention, NOW.wall_ns + 150 * 10**9):
            pass
        return [entry.summary for entry in Reader(tmp_path).select(Query())]

    assert len(after(Retention())) == 199
    kept = after(Retention(days=100 / 86400))
    assert {entry["event"] for entry in kept} == set(range(50, 200))
    kept = after(Retention(per_host=40))
    assert Counter(entry["host"] for entry in kept) == {"h0": 40, "h1": 40, "h2": 40}
    kept = after(Retention(size=300_000))
    assert 20 < len(kept) < 100 and all(entry["complete"] for entry in kept)
    store.close()


def seal(one):
    """The record, sealed, with an identity of its own."""
    return replace(one, flags=FLAG_SEALED, identity=one.identity + b"sealed")


def forge(one, number):
    """Another record that claims the same event."""
    return replace(one, identity=one.identity[:20] + number.to_bytes(12, "big"))


def shown(tmp_path):
    """type, host: (contested, doubted) of all records."""
    entries = [entry.summary for entry in Reader(tmp_path).select(Query(everything=True))]
    return [(entry["type"], entry["sealed"], entry["contested"], entry["doubted"]) for entry in entries]


def test_records_that_claim_the_same_event_are_all_kept_and_marked(tmp_path):
    store = Store(tmp_path)
    honest = record("panic", "a", 1, 2, 5)
    forged = [forge(record("test", "a", 1, 2, 4 + number), number) for number in range(3)]
    stored = store.write([forged[0], honest, *forged[1:]])
    assert [(one.outcome, one.contested) for one in stored] == [("new", False), *[("new", True)] * 3]
    assert [one[2:] for one in shown(tmp_path)] == [(True, False)] * 4
    store.close()


def test_what_a_host_did_not_seal_changes_nothing_once_it_has_sealed(tmp_path):
    store = Store(tmp_path)
    hello, bye = record("hello", "a", 1, 3, 0), record("bye", "a", 1, (1 << 32) - 1, 5)
    early, panic = forge(record("panic", "a", 1, 4, 0), 9), record("panic", "a", 2, 1, 6)
    stored = store.write([early, seal(hello), bye, panic, seal(record("panic", "a", 1, 4, 7))])
    assert [one.doubted for one in stored] == [False, False, True, True, False]
    assert not stored[-1].contested
    assert [one[3] for one in shown(tmp_path)] == [True, False, True, True, False]
    (host,) = Reader(tmp_path).hosts(Ages(900), NOW.wall_ns)
    assert (host["state"], host["sealed"], host["boot_id"]) == ("panicked", True, "01" * 16)
    assert host["panicked"].startswith("2023-11-14T22:13:27")
    store.close()


@pytest.mark.parametrize("first", ["sealed", "forged"])
def test_what_is_not_sealed_contests_nothing_sealed_under_whatever_name(tmp_path, first):
    """Boot id and event can be heard; the name is one that never spoke sealed."""
    store = Store(tmp_path)
    sealed = seal(record("panic", "a", 1, 2, 5))
    forged = [forge(record("panic", "b", 1, 2, 4 + number), number) for number in range(2)]
    in_order = [sealed, *forged] if first == "sealed" else [forged[0], sealed, forged[1]]
    stored = {one.record.identity: one for one in store.write(in_order)}
    assert not stored[sealed.identity].contested and not any(one.doubted for one in stored.values())
    assert sorted(shown(tmp_path)) == [("panic", False, True, False)] * 2 + [("panic", True, False, False)]
    # Somebody else who has a key does.
    assert store.write([seal(forge(record("panic", "c", 1, 2, 9), 7))])[0].contested
    assert all(contested for _, _, contested, _ in shown(tmp_path))
    store.close()


def test_who_claims_one_event_very_often_makes_no_claim_dearer(tmp_path):
    """In steps of SQLite's machine: the time of a test machine says little."""
    steps = Counter()
    store = Store(tmp_path)
    store.write([seal(record("panic", "a", 1, 2, 0))])
    for first, (name, under) in enumerate((("doubted", "a"), ("another name", "b"))):
        for part in range(4):
            store._db.set_progress_handler(lambda key=(name, part): steps.update([key]), 200)
            store.write(
                [
                    forge(record("panic", under, 1, 2, 1), 1 + first * 1000 + part * 250 + n)
                    for n in range(250)
                ]
            )
    for name in ("doubted", "another name"):
        assert steps[name, 3] < 1.5 * steps[name, 1], steps
    store.close()


def test_the_highest_event_mutes_no_host(tmp_path):
    store = Store(tmp_path)
    store.write([record("hello", "a", 1, 1, 0), record("bye", "a", 1, (1 << 32) - 1, 1)])
    assert Reader(tmp_path).hosts(Ages(900), NOW.wall_ns)[0]["state"] == "goodbye"
    store.write([record("hello", "a", 1, 2, 2)])
    assert Reader(tmp_path).hosts(Ages(900), NOW.wall_ns)[0]["state"] == "armed"
    store.close()


def test_a_forged_record_that_was_deleted_keeps_no_other_out(tmp_path):
    store = Store(tmp_path)
    honest = record("panic", "a", 1, 2, 5)
    store.write([forge(honest, 1)])
    store.delete([forge(honest, 1).identity])
    stored = store.write([forge(honest, 1), honest, seal(honest)])
    assert [one.outcome for one in stored] == ["known", "new", "new"]
    store.close()


@pytest.mark.parametrize("kept", [Retention(per_host=20), Retention(size=300_000)])
def test_forged_records_push_out_no_sealed_one(tmp_path, kept):
    store = Store(tmp_path)
    store.write([seal(record("panic", "a", 1, 2, 0, "x" * 3000)), seal(record("test", "a", 1, 3, 0))])
    flood = [record("panic", "a", n % 250, n, n, os.urandom(3000).hex()) for n in range(4, 200)]
    store.write(flood)
    while store.expire(kept, NOW.wall_ns):
        pass
    sealed = [one for one in shown(tmp_path) if one[1]]
    assert {one[0] for one in sealed} == {"test", "panic"}
    assert 0 < len(shown(tmp_path)) < 100
    store.close()


def test_unsealed_tests_and_cut_ones_go_before_whole_panics(tmp_path):
    store = Store(tmp_path)
    tests = [record("test", "a", n, 1, n) for n in range(30)]
    cut = [replace(record("panic", "a", n, 1, n, "x" * 100), runs=()) for n in range(30, 60)]
    whole = [record("panic", "a", n, 1, 0, "y") for n in range(60, 70)]
    store.write([*whole, *cut, *tests])
    for limit, wanted in ((60, {"test": 20, "panic": 40}), (40, {"panic": 40}), (10, {"panic": 10})):
        while store.expire(Retention(per_host=limit), NOW.wall_ns):
            pass
        assert Counter(one[0] for one in shown(tmp_path)) == wanted
    assert all(entry.summary["complete"] for entry in Reader(tmp_path).select(Query()))
    store.close()


def test_forged_hellos_are_bounded_and_push_out_no_record(tmp_path):
    """Which is what 4,000 of them in 4 MiB once did."""
    store = Store(tmp_path)
    honest = [record("panic", f"h{n}", n, 1, n, "x") for n in range(20)]
    silent = [record("hello", "silent", 200, n, n) for n in (1, 2)]
    store.write([*honest, *silent, seal(record("hello", "s", 201, 1, 0))])
    for start in range(0, 4000, 500):
        store.write(
            [
                replace(
                    record("hello", f"forged{n}", 1, 1, 50),
                    identity=n.to_bytes(32, "big"),
                    boot_id=b"forged" + n.to_bytes(10, "big"),
                )
                for n in range(start, start + 500)
            ]
        )
        while store.expire(Retention(size=4 << 20), NOW.wall_ns):
            pass
    hosts = Reader(tmp_path).hosts(Ages(900), NOW.wall_ns)
    assert len(hosts) <= 1024 and {"silent", "s", "h0"} <= {host["host"] for host in hosts}
    assert len([one for one in shown(tmp_path) if one[0] == "panic"]) == 20
    store.close()


def test_what_the_bounds_mean_is_said_in_days(tmp_path, cli):
    assert "MiB" in outlook.tell(tmp_path / "none" / "yet", Retention(), NOW.wall_ns)[0]
    store = Store(tmp_path)
    # 100 records of 3 KiB and 1 KiB besides in ten days: 40 KiB a day.
    store.write([record("panic", f"h{n % 2}", n, 1, n * 8640, os.urandom(3072).hex()) for n in range(100)])
    store.close()
    kept = Retention(days=90, size=4 << 20, per_host=20)
    size, number, days = outlook.tell(tmp_path, kept, NOW.wall_ns + 864_000 * 10**9)
    assert "may have 4 MiB" in size and 90 < float(re.search(r"kept for ([\d.]+) days", size)[1]) < 110
    assert "busiest host, h" in number and number.endswith("4.0 days") and "keep_days is 90" in days
    assert "the database may have" in cli("check-config", state_dir=tmp_path).stderr


def test_without_a_setting_the_disk_says_how_much_is_kept(tmp_path):
    assert 16 << 20 <= Retention().bytes(tmp_path / "panicast.db") <= 16 << 30
    assert Retention(size=5).bytes(tmp_path / "panicast.db") == 5


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_under_a_seal_never_raises(data):
    intake = Intake(Limits(), 60)
    intake.keys = {1: SharedKey(b"k" * 32)}
    header = encode("panic", b"b" * 16, 1, 1, "h", b"", b"x")[0][:80]
    datagram = header[:6] + b"\x01\x01" + header[8:] + data
    assert fed(intake, [datagram]) == [] and intake.reassembler.memory == 0
    # Shorter than what a seal adds, it is no frame.
    why = Drop.FORGED if len(data) >= TAG_BYTES else Drop.SHORT
    assert intake.counts == {"packets": 1, why.value: 1}
    assert (decode(datagram) is Drop.SHORT) == (why is Drop.SHORT)
