# SPDX-License-Identifier: GPL-2.0-or-later
"""The fast path against the slow one, on blocks of a ring as the kernel lays them out; spilling."""

import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import DONE, Limits
from panicast_receiver.assembly.spill import Spill
from panicast_receiver.db.store import Store
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.wire.v1 import decode

from ..conftest import ring_block, udp_frame
from ..headers import header

NOW = Instant(100.0, 1_700_000_000_000_000_000)


def by_ring(intake, frames):
    """What comes out of one block of these Ethernet frames."""
    return intake.feed_block(ring_block(frames), 0, len(frames), NOW, lambda index: f"eth{index}")


def told(record):
    """A record without where it was heard."""
    return record.identity, record.type, record.metadata, record.marked_text, record.complete


@settings(deadline=None)
@given(st.data())
def test_the_fast_path_makes_the_records_that_the_slow_one_makes(vectors, data):
    frames = [frame for vector in vectors if vector["key"] is None for frame in vector["frames"]]
    chosen = data.draw(st.lists(st.sampled_from(frames), max_size=60))
    cut = data.draw(st.integers(0, len(chosen)))
    assert_alike(chosen[:cut], chosen[cut:])


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_many_hosts_at_once_with_losses_repetitions_and_changes_of_order(big, data):
    """Long runs of frames of one size, which are taken together."""
    hosts = range(data.draw(st.integers(20, 300)))
    sent = [
        frame[:8] + host.to_bytes(16, "big") + frame[24:]
        for _ in range(2)
        for frame in big["frames"]
        for host in hosts
    ]
    for _ in range(data.draw(st.integers(0, 20))):
        at = data.draw(st.integers(0, len(sent) - 1))
        sent.insert(data.draw(st.integers(0, len(sent))), sent.pop(at))
    del sent[:: data.draw(st.sampled_from([3, 50, len(sent)]))]
    assert_alike(sent)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_senders_that_begin_too_many_records_are_refused_alike(vectors, big, data):
    """Frames of records in flight are not."""
    one, other = "525400000001", "525400000002"
    forged = [b"PCST\1\1\0\0" + number.to_bytes(16, "big") + big["frames"][1][24:] for number in range(40)]
    many = [*forged, *big["frames"], *vectors[-1]["frames"]]
    chosen = data.draw(st.lists(st.sampled_from(many), max_size=120))
    frames = [udp_frame(datagram, mac=data.draw(st.sampled_from([one, one, other]))) for datagram in chosen]
    fast, slow = Intake(Limits(), 60), Intake(Limits(), 60)
    for intake in (fast, slow):
        intake.rates.sources.per_minute = 5
    got = by_ring(fast, frames)
    wanted = [one for frame in frames for one in slow.feed(Packet(frame, Source(), ethernet=True), NOW)]
    assert [told(record) for record in got] == [told(record) for record in wanted]
    assert +fast.counts == +slow.counts
    assert sorted(map(told, fast.reassembler.flush())) == sorted(map(told, slow.reassembler.flush()))


def assert_alike(*blocks):
    """The ring, given blocks of these datagrams, makes of them what they make one by one."""
    fast, slow = Intake(Limits(), 60), Intake(Limits(), 60)
    got = [record for block in blocks for record in by_ring(fast, map_frames(block))]
    wanted = [one for block in blocks for frame in block for one in slow.feed(Packet(frame, Source()), NOW)]
    assert [told(record) for record in got] == [told(record) for record in wanted]
    assert +fast.counts == +slow.counts
    assert fast.reassembler.memory == slow.reassembler.memory
    assert sorted(map(told, fast.reassembler.flush())) == sorted(map(told, slow.reassembler.flush()))
    assert fast.reassembler.memory == slow.reassembler.memory == 0


def test_long_frames_before_short_ones_at_the_end_of_the_ring(big):
    """Of all as long as the first there would be no room."""
    first = big["frames"][0]
    forged = [first[:24] + bytes([0, 0, 0, number]) + first[28:] for number in range(99)]
    assert_alike([one + bytes(8000) for one in forged[:20]] + forged[20:])


def map_frames(datagrams):
    """Datagrams as Ethernet frames."""
    return [udp_frame(datagram) for datagram in datagrams]


def test_what_the_ring_tells_of_the_sender(big):
    (record,) = by_ring(Intake(Limits(), 60), map_frames(big["frames"]))
    assert record.source == Source("52:54:00:12:34:56", "10.0.0.7", "eth1")
    assert record.received_text.decode() == big["text"] and record.complete


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=240), max_size=6), st.data())
def test_whatever_is_in_the_ring_is_counted_and_never_raises(big, garbage, data):
    frames = [*garbage, *map_frames(data.draw(st.lists(st.binary(max_size=120), max_size=4)))]
    frames += [udp_frame(frame[: data.draw(st.integers(0, len(frame)))]) for frame in big["frames"]]
    intake = Intake(Limits(), 60)
    by_ring(intake, data.draw(st.permutations(frames)))
    records = intake.reassembler.flush()
    assert intake.counts["packets"] == len(frames) and len(records) <= 1
    assert intake.reassembler.memory == 0


def test_a_forged_piece_is_counted_and_the_record_is_whole_nevertheless(big):
    """Same header, but a piece beyond the text, or a seq beyond any parity."""
    text = big["frames"][1]
    beyond = text[:28] + struct.pack(">HHI", 1, 6, len(big["text"])) + text[36:]
    wrong_seq = text[:28] + struct.pack(">HHI", 6 + 128, 6, 0) + text[36:]
    intake = Intake(Limits(), 60)
    frames = [*big["frames"][:2], beyond, wrong_seq, *big["frames"][2:]]
    (record,) = by_ring(intake, map_frames(frames)) or intake.reassembler.flush()
    assert record.complete and record.received_text.decode() == big["text"]
    assert intake.counts["payload outside the text"] == 1 and intake.counts["seq not below count"] == 1
    assert intake.reassembler.memory == 0


def test_endless_forged_pieces_do_not_grow_memory(big):
    intake = Intake(Limits(), 60)
    by_ring(intake, map_frames(big["frames"][:2]))
    text = big["frames"][1]
    for start in range(0, 60_000, 1000):
        pieces = [text[:28] + struct.pack(">HHI", 1, 6, start + n) + text[36:80] for n in range(1000)]
        by_ring(intake, map_frames(pieces))
    assert intake.reassembler.memory < 1 << 20


#: Where a header says something that all frames of a record have in common, and a change of it: type, flags,
#: key id, count, text length, time, host. Of fields that other checks look at, changes that these pass.
OTHERS = [(5, b"\3"), (6, b"\0"), (7, b"\7"), (30, b"\0\7"), (36, b"\0\2\0\0"), (40, b"\1"), (79, b"x")]


def test_endless_frames_of_a_record_are_not_looked_at_for_ever(big):
    """Each in another place and of another size: the fast path leaves them to the slow one."""
    intake = Intake(Limits(), 60)
    forged = [
        header(seq=1 + n % 3, count=4, offset=n % 900, length=1000) + b"x" * (n % 9) for n in range(3000)
    ]
    by_ring(intake, [*map_frames(forged), *map_frames(big["frames"][:2])])
    (record,) = by_ring(intake, map_frames(big["frames"][2:]))
    assert record.received_text.decode() == big["text"]
    looks = [partial.looks for partial in intake.reassembler._partials.values()]
    assert looks and max(looks) < 100 and intake.counts["duplicate"] > 2900


def test_an_honest_record_of_two_sizes_and_passes_is_looked_at_as_often_as_it_needs(big):
    """Cut in two ways, as interfaces do, and twice each."""
    text, meta = big["text"].encode()[:6000], b"host=x\n"
    sizes = {size: [text[at : at + size] for at in range(0, 6000, size)] for size in (600, 500)}
    frames = []
    for size, pieces in sizes.items():
        for n, piece in enumerate(pieces[:-1]):
            frames.append(header(seq=n + 1, count=14, offset=n * size, length=6000) + piece)
    intake = Intake(Limits(), 60)
    by_ring(intake, map_frames(frames * 4))
    last = header(seq=13, count=14, offset=5400, length=6000) + text[5400:]
    found = by_ring(intake, map_frames([last, header(seq=0, count=14, length=6000) + meta]))
    assert [(one.complete, one.received_text) for one in found] == [(True, text)]


def other(datagram, at, value):
    """The datagram of a record whose headers do not agree with the first one's."""
    return datagram[:at] + value + datagram[at + len(value) :]


@pytest.mark.parametrize(
    "take",
    [
        by_ring,
        lambda intake, frames: [
            record for frame in frames for record in intake.feed(Packet(frame, Source(), ethernet=True), NOW)
        ],
    ],
)
@pytest.mark.parametrize(("at", "value"), OTHERS)
def test_records_whose_headers_do_not_agree_are_both_kept(take, big, at, value):
    """Whoever is first, whole or not, the fast way or the slow one; and repetitions of both are told."""
    honest = map_frames(big["frames"])
    forged = map_frames([other(frame, at, value) for frame in big["frames"]])
    for first, second in ((honest, forged), (forged, honest), (forged[:3], honest)):
        intake = Intake(Limits(), 60)
        got = take(intake, [*first, *second, *first, *second])
        got += intake.reassembler.flush()
        assert len({record.identity for record in got}) == len(got) == 2
        assert {record.identity[:20] for record in got} == {got[0].identity[:20]}
        assert wanted(big) in map(told, got)
        assert intake.reassembler.memory == 0


@pytest.mark.parametrize(("at", "value"), OTHERS)
def test_mixed_frame_by_frame(big, at, value):
    intake = Intake(Limits(), 60)
    pairs = [frame for one in big["frames"] for frame in (other(one, at, value), one)]
    got = by_ring(intake, map_frames(pairs * 2)) + intake.reassembler.flush()
    assert len(got) == 2 and wanted(big) in map(told, got)


def wanted(vector):
    """What ``told`` says of a vector's record."""
    first = decode(vector["frames"][0])
    return first.identity, vector["type"], first.payload, vector["text"].encode(), True


def test_finished_records_are_forgotten_in_the_end(big, monkeypatch):
    monkeypatch.setattr("panicast_receiver.assembly.reassembly.REMEMBERED", 3)
    intake = Intake(Limits(), 60)
    for number in range(8):
        frames = [frame[:24] + number.to_bytes(4, "big") + frame[28:] for frame in big["frames"]]
        assert len(by_ring(intake, map_frames(frames))) == 1
    assert list(intake.reassembler.by_key.values()) == [DONE] * 3


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_records_beyond_the_memory_wait_in_a_file_and_come_back_whole(tmp_path_factory, big, data):
    spill = Spill(tmp_path_factory.mktemp("spill"), data.draw(st.sampled_from([1 << 20, 1 << 20, 9000])))
    intake = Intake(Limits(memory=40_000), 60, spill)
    frames = [
        frame[:24] + number.to_bytes(4, "big") + frame[28:]
        for number in range(12)
        for frame in data.draw(st.permutations(big["frames"]))
    ]
    order = data.draw(st.permutations(frames))
    records = [
        record for at in range(0, len(order), 6) for record in by_ring(intake, map_frames(order[at : at + 6]))
    ]
    assert intake.reassembler.memory <= 40_000 + 6 * 1600
    records += intake.reassembler.flush()
    texts = {}
    for record in records:
        for run in record.runs:
            assert big["text"].encode()[run.offset : run.end] == run.data
            texts[record.event] = texts.get(record.event, 0) + len(run.data)
    assert texts == dict.fromkeys(range(12), len(big["text"]))
    if intake.counts["spilled to disk"] and not intake.counts["handed out early for room"]:
        assert all(record.complete for record in records)
    assert spill.live == intake.reassembler.memory == 0
    spill.close()


def test_a_shorter_piece_does_not_keep_the_whole_one_out(big):
    for cut in (0, 40, 80, 500):
        intake = Intake(Limits(), 60)
        frames = [big["frames"][0], big["frames"][2][:cut], *big["frames"]]
        (record,) = by_ring(intake, map_frames(frames))
        assert record.complete and record.received_text.decode() == big["text"]
        assert intake.reassembler.memory == 0


def spilled_intake(tmp_path, big, records=12):
    """An intake that has all but the last frame of records that memory has no room for; its spill file."""
    spill = Spill(tmp_path, 1 << 20)
    intake = Intake(Limits(memory=3300 * records), 60, spill)
    for frame in big["frames"][:-1]:
        assert not by_ring(intake, map_frames(numbered(frame, range(records))))
    return intake, spill


def numbered(frame, numbers):
    """A frame as part of each of these records."""
    return [frame[:24] + number.to_bytes(4, "big") + frame[28:] for number in numbers]


def test_what_was_spilled_is_read_when_somebody_looks_and_given_back_in_any_case(tmp_path, big):
    intake, spill = spilled_intake(tmp_path, big)
    spilled = spill.live
    assert spilled > 12 * len(big["text"]) - 40_000
    looked_at, *others = by_ring(intake, map_frames(numbered(big["frames"][-1], range(12))))
    assert len(others) == 11 and spill.live == spilled and intake.reassembler.memory == 0
    assert looked_at.complete and looked_at.received_text.decode() == big["text"]
    assert 0 < spill.live < spilled
    del others
    assert spill.live == 0
    spill.close()


def test_a_record_is_refused_when_the_spill_file_cannot_be_read(tmp_path, big, monkeypatch):
    intake, spill = spilled_intake(tmp_path, big)
    records = by_ring(intake, map_frames(numbered(big["frames"][-1], range(11))))
    fetched = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, offset: fetched(file, size, offset)[:-1])
    store = Store(tmp_path / "state")
    assert [stored.outcome for stored in store.write(records)] == ["refused"] * 11
    store.close()
    spill.close()


def test_records_are_spilled_in_large_pieces(tmp_path, big):
    """What was spilled a moment ago and holds one frame again is not the next."""
    intake, spill = spilled_intake(tmp_path, big, records=60)
    assert intake.counts["spilled to disk"] < 120
    del intake
    spill.close()
