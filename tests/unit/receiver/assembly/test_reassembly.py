# SPDX-License-Identifier: GPL-2.0-or-later
"""The pure middle: extents, reassembler, raw records."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.rawrecords import RawRecords
from panicast_receiver.assembly.reassembly import FLOOD, LATE_S, LONGEST_S, Limits, Reassembler, Recent
from panicast_receiver.records.extents import MOST_PIECES, Extents, Run, gaps, merged
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.wire.raw import RawFrame
from panicast_receiver.wire.v1 import FLAG_SEALED, PIECE_END, decode, encode

from ..headers import header

HERE = Source(ip="10.0.0.7", iface="eth0")
NOW = Instant(100.0, 1_700_000_000_000_000_000)


def later(seconds):
    """A clock reading after NOW."""
    return Instant(NOW.mono + seconds, NOW.wall_ns + int(seconds * 1e9))


def assembler(**limits):
    """A reassembler and its counters."""
    counts = Counter()
    return Reassembler(Limits(**limits), counts), counts


def feed_all(target, frames, now=NOW):
    """Everything that comes out while the datagrams go in."""
    return [record for frame in frames for record in target.feed(decode(frame), HERE, now)]


@given(st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=20)), max_size=30))
def test_extents_keep_what_came_first_and_nothing_twice(pieces):
    model, extents = {}, Extents()
    for offset, data in pieces:
        new = [(offset + i, byte) for i, byte in enumerate(data) if offset + i not in model]
        model.update(new)
        assert extents.add(offset, data) == len(new)
    runs = merged(list(extents))
    assert {run.offset + i: byte for run in runs for i, byte in enumerate(run.data)} == model
    assert all(runs[n].end < runs[n + 1].offset for n in range(len(runs) - 1))
    assert extents.covered == len(model)
    missing = {gap.offset + i for gap in gaps(runs, 100) for i in range(gap.length)}
    assert missing == set(range(100)) - set(model)


@settings(deadline=None)
@given(st.data())
def test_any_order_and_any_repetition_gives_the_record_once(big, data):
    frames = data.draw(st.permutations(big["frames"]))
    extra = data.draw(st.lists(st.sampled_from(big["frames"]), max_size=12))
    reassembler, counts = assembler()
    records = feed_all(reassembler, [*frames, *extra])
    assert [record.received_text.decode() for record in records] == [big["text"]]
    assert (
        records[0].complete
        and records[0].meta == big["meta"]
        and records[0].reason == "sysrq triggered crash"
    )
    assert counts["duplicate"] == len(extra)
    assert reassembler.in_flight == reassembler.memory == 0


@settings(deadline=None)
@given(st.data())
def test_missing_frames_come_out_as_gaps_after_idle_s(big, data):
    kept = data.draw(st.lists(st.sampled_from(range(6)), min_size=1, max_size=5, unique=True))
    reassembler, _ = assembler(idle_s=5)
    assert feed_all(reassembler, [big["frames"][number] for number in kept]) == []
    assert reassembler.tick(later(4.9)) == []
    (record,) = reassembler.tick(later(5))
    text = big["text"].encode()
    for run in record.runs:
        assert text[run.offset : run.end] == run.data
    missing = sum(len(big["frames"][number]) - 80 for number in range(1, 6) if number not in kept)
    assert sum(gap.length for gap in record.gaps) == missing
    assert record.marked_text.count(b"bytes missing]") == len(record.gaps)
    assert record.host == big["host"] and not record.complete
    assert (record.metadata is None) == (0 not in kept)
    assert reassembler.in_flight == reassembler.memory == 0


@pytest.mark.parametrize("size", [0, 1, 1392, 1393, 65536])
def test_what_we_encode_is_put_together_again(size):
    text = (b"<6>[1.0] line\n" * 6000)[:size]
    intake = Intake(Limits(), 60)
    frames = encode("test", b"b" * 16, 7, 5, "h" * 40, b"host=x\n", text)
    (found,) = [r for data in frames for r in intake.feed(Packet(data, Source()), Instant(1.0, 1))]
    assert (found.received_text, found.metadata, found.type, found.event) == (text, b"host=x\n", "test", 7)


def test_text_without_metadata_is_not_complete(big):
    reassembler, _ = assembler(idle_s=1)
    assert feed_all(reassembler, big["frames"][1:]) == []
    (record,) = reassembler.tick(later(1))
    assert record.gaps == [] and not record.complete
    assert record.reason.startswith("sysrq triggered crash")


def test_a_late_frame_comes_out_soon(big):
    reassembler, _ = assembler(idle_s=5)
    feed_all(reassembler, big["frames"][:5])
    assert len(reassembler.tick(later(5))) == 1
    feed_all(reassembler, big["frames"][5:], later(6))
    (record,) = reassembler.tick(later(6 + LATE_S))
    assert sum(len(run.data) for run in record.runs) == len(big["frames"][5]) - 80


def test_frames_that_come_late_one_by_one_wait_ever_longer_for_others(big):
    """The store merges all of a record's text with each: three frames a second kept a disk busy."""
    reassembler, _ = assembler(idle_s=5)
    feed_all(reassembler, big["frames"][:5])
    assert len(reassembler.tick(later(5))) == 1
    handed = []
    for tenths in range(60, 3600, 3):
        feed_all(reassembler, big["frames"][4:5], later(tenths / 10))
        handed += reassembler.tick(later(tenths / 10))
    # Of 1180 frames: after 0.25 s, 0.5 s and so on, then once a minute.
    assert 8 < len(handed) < 15


def test_whoever_forges_a_frame_now_and_then_keeps_no_record_from_being_handed_out(big):
    reassembler, _ = assembler(idle_s=5)
    feed_all(reassembler, big["frames"][:5])
    last = decode(big["frames"][5])
    handed = []
    for number in range(1, 20):
        at = later(4 * number)
        handed += reassembler.feed(last._replace(offset=number, payload=b"x"), HERE, at)
        handed += reassembler.tick(at)
        if handed:
            break
    assert 4 * number <= LONGEST_S + 4 and handed[0].received_text


def test_a_forged_frame_keeps_no_honest_record_from_being_whole_nor_from_being_kept(big):
    honest = big["frames"][0]
    forged = decode(honest[:PIECE_END] + (1 << 20).to_bytes(4, "big") + honest[PIECE_END + 4 :])
    reassembler, _ = assembler(idle_s=1)
    assert reassembler.feed(forged, HERE, NOW) == []
    assert [record.complete for record in feed_all(reassembler, big["frames"])] == [True]
    (cut,) = reassembler.tick(later(1))
    assert not cut.complete and cut.text_length == 1 << 20


def test_a_text_is_cut_into_no_more_pieces_than_a_sender_would():
    """A piece of one byte, beside the last one: to keep it took ever longer, for one frame each."""
    length, count = 8 * MOST_PIECES, 9
    offsets = range(length - 2, 0, -2)
    frames = (
        header(seq=1 + number % (count - 1), count=count, offset=offset, length=length) + b"x"
        for number, offset in enumerate(offsets)
    )
    reassembler, counts = assembler()
    feed_all(reassembler, frames)
    assert counts["duplicate"] >= len(offsets) - MOST_PIECES - count
    (record,) = reassembler.flush()
    assert count < len(record.runs) <= MOST_PIECES


def test_flush_gives_what_is_in_flight(big):
    reassembler, _ = assembler()
    feed_all(reassembler, big["frames"][:2])
    assert [record.event for record in reassembler.flush()] == [big["event"]]
    assert reassembler.in_flight == reassembler.memory == 0


def test_longer_texts_than_allowed_are_counted(big):
    reassembler, counts = assembler(text=1024)
    assert feed_all(reassembler, big["frames"]) == []
    assert counts["text longer than max_text_kib"] == 6 and reassembler.memory == 0


def test_memory_that_is_in_use_elsewhere_is_not_used_twice(big):
    """By what waits for the store."""
    reassembler, counts = assembler(memory=100_000)
    assert feed_all(reassembler, big["frames"][:3]) == [] and 0 < reassembler.memory < 10_000
    reassembler.reserved = 99_000
    assert [record.event for record in reassembler.make_room()] == [big["event"]]
    assert reassembler.memory == 0 and counts["handed out early for room"] == 1
    # More than there is leaves nothing, and is no error.
    reassembler.reserved = 200_000
    assert len(feed_all(reassembler, big["frames"][3:5])) == 2


@pytest.mark.parametrize("flags", [0, FLAG_SEALED])
@pytest.mark.parametrize("more", [0, 1])
def test_of_a_flood_of_single_frames_the_sealed_ones_are_kept(flags, more):
    """Nobody forges those."""
    reassembler, counts = assembler(idle_s=1)
    frames = [header(event=number, flags=flags, count=4) + b"x" * 20 for number in range(FLOOD + more)]
    assert (
        feed_all(reassembler, [frame[:36] + (99).to_bytes(4, "big") + frame[40:] for frame in frames]) == []
    )
    kept = len(frames) if flags or not more else 0
    assert len(reassembler.tick(later(1))) == kept
    assert counts["lone frames dropped for room"] == len(frames) - kept
    assert reassembler.memory == reassembler.in_flight == 0


@st.composite
def any_frame(draw):
    """A valid frame of one of few records, so that they collide."""
    length = draw(st.integers(0, 3000))
    seq = draw(st.integers(0, 3))
    offset = draw(st.integers(0, length)) if seq else 0
    size = draw(st.integers(0, length - offset)) if seq else draw(st.integers(0, 200))
    changes = {
        "type": draw(st.sampled_from([1, 3])),
        "boot": bytes([draw(st.integers(0, 8))]) * 16,
        "event": draw(st.integers(0, 2)),
        "time": draw(st.integers(0, 1)),
    }
    return decode(header(seq=seq, count=4, offset=offset, length=length, **changes) + b"x" * size)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(any_frame(), st.floats(0, 3)), max_size=60))
def test_bounds_hold_whatever_arrives(steps):
    reassembler, _ = assembler(memory=16000, records=5, idle_s=2)
    now, handed = NOW, []
    for frame, pause in steps:
        now = Instant(now.mono + pause, now.wall_ns)
        handed += reassembler.tick(now) + reassembler.feed(frame, HERE, now)
        assert reassembler.memory <= 16000 and reassembler.in_flight <= 5
    handed += reassembler.flush()
    assert reassembler.memory == reassembler.in_flight == 0
    for record in handed:
        assert (
            sum(len(run.data) for run in record.runs) + sum(g.length for g in record.gaps)
            == record.text_length
        )
    complete = [record.identity for record in handed if record.complete]
    assert len(complete) == len(set(complete))


def test_recent_keys_forget_the_oldest():
    keys = Recent(2)
    for key in (1, 2, 1, 3):
        keys.add(key)
    assert 1 in keys and 3 in keys and 2 not in keys and len(keys) == 2


def test_raw_repeats_within_the_window_are_one_record():
    counts = Counter()
    raw = RawRecords(60, counts)
    frame = RawFrame("52:54:00:12:34:56", None, b"<0>[1.0] Kernel panic - not syncing: Fatal exception\n<4>x")
    (record,) = raw.feed(frame, HERE, NOW)
    assert (record.type, record.format, record.complete, record.reason, record.mac, record.runs) == (
        "panic",
        "raw",
        True,
        "Fatal exception",
        frame.mac,
        (Run(0, frame.text),),
    )
    assert raw.feed(frame, HERE, later(1)) == [] and counts["duplicate"] == 1
    assert len(raw.feed(frame._replace(mac="52:54:00:12:34:57"), HERE, later(1))) == 1
    assert len(raw.feed(frame._replace(text=b"other"), HERE, later(1))) == 1
    (again,) = raw.feed(frame, HERE, later(62))
    assert again.identity != record.identity


def test_intake_counts_every_packet_by_what_became_of_it(vectors):
    intake = Intake(Limits(), 60)
    frames = [frame for vector in vectors for frame in vector["frames"]]
    for data in [*frames, b"PC", b"XXXX" + bytes(90)]:
        intake.feed(Packet(data, HERE), NOW)
    intake.feed(Packet(bytes(60), HERE, ethernet=True), NOW)
    assert intake.counts == {
        "packets": len(frames) + 3,
        "sealed, no key": sum(len(vector["frames"]) for vector in vectors if vector["key"]),
        "too short": 1,
        "wrong magic": 1,
        "neither raw nor UDP": 1,
    }
