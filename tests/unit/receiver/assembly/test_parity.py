# SPDX-License-Identifier: GPL-2.0-or-later
"""Lost frames are restored by parity, whatever was lost; what came as itself is never spoiled by it."""

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.assembly import reassembly
from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import RESTORE_S, Limits
from panicast_receiver.assembly.spill import Spill
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.wire.parity import EXTRA, Block, block_of, restore
from panicast_receiver.wire.sealing import SharedKey
from panicast_receiver.wire.v1 import HEADER, Drop, Frame, decode

from ..conftest import VECTORS, ring_block, udp_frame

HERE = Source("52:54:00:12:34:56", "10.0.0.7", "eth0")
NOW = Instant(100.0, 1_700_000_000_000_000_000)
WITH_PARITY = [vector for vector in VECTORS if "parity" in vector]
MANY = next(vector for vector in WITH_PARITY if vector["name"] == "panic with parity")
BLOCKS = next(vector for vector in WITH_PARITY if vector["name"] == "parity in two blocks")


def later(seconds):
    return Instant(NOW.mono + seconds, NOW.wall_ns)


def frames_of(vector):
    """Source frames and parity frames as bytes."""
    return [bytes.fromhex(frame) for frame in vector["frames"]], [
        bytes.fromhex(frame) for frame in vector["parity"]
    ]


def intake_for(vector, **limits):
    intake = Intake(Limits(**limits), 60)
    intake.keys = {
        decode(bytes.fromhex(vector["frames"][0])).key_id: SharedKey(bytes.fromhex(vector["key"] or ""))
    }
    return intake


def by_datagram(intake, frames, now=NOW):
    return [record for data in frames for record in intake.feed(Packet(data, HERE), now)]


def by_ring(intake, frames, now=NOW):
    made = [udp_frame(data) for data in frames]
    return intake.feed_block(ring_block(made), 0, len(made), now, lambda index: "eth0")


ROADS = pytest.mark.parametrize("road", [by_datagram, by_ring])


def whole(record, vector):
    return (
        record.complete and record.received_text.decode() == vector["text"] and record.meta == vector["meta"]
    )


def restorable(vector, lost, parity):
    """Whether the parity of each block, by number, is as much as its lost source frames."""
    blocks = -(-vector["count"] // 128)
    need, have = Counter(seq % blocks for seq in lost), Counter(j % blocks for j in parity)
    return all(have[block] >= number for block, number in need.items())


@ROADS
@settings(deadline=None, max_examples=30)
@given(vector=st.sampled_from(WITH_PARITY), data=st.data())
def test_any_loss_is_restored_that_can_be(road, vector, data):
    sources, parity = frames_of(vector)
    rate = data.draw(st.sampled_from([0.1, 0.3, 0.5, 0.8]))
    chance = random.Random(data.draw(st.integers(0, 1 << 20)))
    lost = {seq for seq in range(len(sources)) if chance.random() < rate}
    came = [j for j in range(len(parity)) if chance.random() >= rate]
    frames = [frame for seq, frame in enumerate(sources) if seq not in lost] + [parity[j] for j in came]
    if data.draw(st.booleans()):
        chance.shuffle(frames)
    if not frames:
        return
    intake = intake_for(vector)
    records = road(intake, frames) + intake.tick(later(RESTORE_S)) + intake.tick(later(60))
    (record,) = records
    if restorable(vector, lost, came):
        assert whole(record, vector) and record.restored == len(lost)
    else:
        assert not record.complete
        assert all(vector["text"].encode()[run.offset : run.end] == run.data for run in record.runs)
    assert intake.reassembler.memory == intake.reassembler.in_flight == 0


@ROADS
def test_what_comes_whole_needs_no_parity_and_is_not_kept_waiting(road):
    sources, parity = frames_of(MANY)
    intake = intake_for(MANY)
    (record,) = road(intake, [*sources, *parity])
    assert whole(record, MANY) and record.restored == 0
    assert intake.counts["duplicate"] == len(parity)


@ROADS
def test_parity_is_used_only_when_frames_have_stopped_coming(road):
    sources, parity = frames_of(MANY)
    intake = intake_for(MANY)
    assert road(intake, [*sources[:3], *parity]) == []
    assert intake.tick(later(RESTORE_S * 0.9)) == []
    assert road(intake, sources[3:4], later(RESTORE_S * 0.9)) == []
    (record,) = intake.tick(later(RESTORE_S * 2))
    assert whole(record, MANY) and record.restored == 2


@ROADS
def test_parity_frames_are_frames_that_come(road):
    sources, parity = frames_of(MANY)
    intake = intake_for(MANY)
    assert road(intake, [*sources[:4], *parity[:1]]) == []
    assert road(intake, parity[1:], later(RESTORE_S * 0.9)) == []
    assert intake.tick(later(RESTORE_S * 1.5)) == []
    (record,) = intake.tick(later(RESTORE_S * 2))
    assert whole(record, MANY) and record.restored == 2


@ROADS
def test_no_more_parity_is_kept_than_can_help(road):
    sources, parity = frames_of(BLOCKS)
    intake = intake_for(BLOCKS)
    assert road(intake, sources[2:]) == []
    before = intake.reassembler.memory
    assert road(intake, parity) == []
    # One source of each block is missing.
    assert intake.reassembler.memory - before == 2 * (1 + EXTRA) * (len(parity[0]) - 80 + 150)
    (record,) = intake.tick(later(RESTORE_S))
    assert whole(record, BLOCKS) and record.restored == 2


@ROADS
def test_nor_where_the_sources_came_in_another_order(road):
    sources, parity = frames_of(MANY)
    intake = intake_for(MANY)
    assert road(intake, [sources[seq] for seq in (5, 2, 4, 3, 0)]) == []
    before = intake.reassembler.memory
    assert road(intake, parity) == []
    kept = 1 + EXTRA
    assert kept < len(parity)
    assert intake.reassembler.memory - before == kept * (len(parity[0]) - 80 + 150)


def test_a_frame_that_comes_after_what_was_not_enough_lets_it_be_tried_again():
    sources, parity = frames_of(MANY)
    intake = intake_for(MANY, idle_s=5)
    assert by_datagram(intake, [*sources[:3], *parity[:2]]) == []
    assert intake.tick(later(RESTORE_S)) == []
    assert by_datagram(intake, parity[2:3], later(1)) == []
    (record,) = intake.tick(later(1 + RESTORE_S))
    assert whole(record, MANY) and record.restored == 3


def test_restored_from_the_spill_file(tmp_path):
    sources, parity = frames_of(MANY)
    spill = Spill(tmp_path, 1 << 20)
    intake = Intake(Limits(memory=3000), 60, spill)
    assert by_datagram(intake, [*sources[:3], *parity]) == []
    assert intake.counts["spilled to disk"]
    (record,) = intake.tick(later(RESTORE_S))
    assert whole(record, MANY)
    del record
    assert spill.live == 0 and intake.reassembler.memory == 0


def forge(frame, chance):
    """The same header with another payload."""
    return frame[:80] + chance.randbytes(len(frame) - 80)


@ROADS
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1 << 20))
def test_forged_parity_never_spoils_what_came_as_itself(road, seed):
    chance = random.Random(seed)
    sources, parity = frames_of(MANY)
    forged = [forge(frame, chance) for frame in parity]
    # First, as many as there are sources, then the honest ones, all of them.
    intake = intake_for(MANY)
    frames = [*sources[:1], *forged, *sources[1:]]
    (record,) = road(intake, frames)
    assert whole(record, MANY) and record.restored == 0
    # Some of which are lost for good: they may be wrong, the others not.
    kept = [seq for seq in range(len(sources)) if seq and chance.random() < 0.7] or [1]
    intake = intake_for(MANY)
    records = road(intake, [*forged, *(sources[seq] for seq in kept)])
    (record,) = records + intake.tick(later(RESTORE_S)) + intake.tick(later(60))
    for seq in kept:
        frame = decode(sources[seq])
        got = {run.offset + at: byte for run in record.runs for at, byte in enumerate(run.data)}
        assert bytes(got[frame.offset + at] for at in range(len(frame.payload))) == frame.payload


@ROADS
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1 << 20))
def test_a_forged_parity_frame_among_honest_ones_is_found_out(road, seed):
    chance = random.Random(seed)
    sources, parity = frames_of(MANY)
    lost = set(chance.sample(range(6), 2))
    wrong = chance.randrange(len(parity))
    parity[wrong] = forge(parity[wrong], chance)
    intake = intake_for(MANY)
    frames = [frame for seq, frame in enumerate(sources) if seq not in lost]
    assert road(intake, [*frames, *parity]) == []
    (record,) = intake.tick(later(RESTORE_S))
    assert whole(record, MANY) and record.restored == 2


@ROADS
def test_parity_of_another_record_or_shape_keeps_nobody_out(road):
    sources, parity = frames_of(MANY)
    shorter = parity[0][:-1]
    metadata = parity[0][:32] + (7).to_bytes(4, "big") + parity[0][36:]
    intake = intake_for(MANY)
    assert road(intake, [shorter, metadata, *sources[:4], *parity]) == []
    (record,) = intake.tick(later(RESTORE_S))
    assert whole(record, MANY) and record.restored == 2


def test_contradictions_without_an_end_are_given_up():
    block = Block(6, 141, 1392, 6000, 0)
    chance = random.Random(1)
    parity = {p: chance.randbytes(1392) for p in range(10)}
    assert restore(block, {}, parity) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 2 + 128},
        {"offset": 5},
        {"length": 3},
        {"length": 0},
        {"seq": 3, "count": 3},
        {"count": 1, "seq": 1},
        {"type": 4, "count": 1, "seq": 1, "length": 0, "offset": 4},
    ],
)
def test_parity_of_no_possible_record_is_dropped(changes):
    good = {"type": 1, "seq": 2, "count": 2, "offset": 3, "length": 4}

    def made(fields):
        return HEADER.pack(
            b"PCST", 1, fields["type"], 0, 0, bytes(16), 1, fields["seq"], fields["count"],
            fields["offset"], fields["length"], 1, b"h" * 32,
        ) + b"1234"  # fmt: skip

    assert isinstance(decode(made(good)), Frame)
    assert decode(made({**good, **changes})) is Drop.SEQ


def test_vectors_parity_belongs_to_the_blocks_of_the_contract():
    sources, parity = frames_of(BLOCKS)
    frames = [decode(frame) for frame in parity]
    blocks = [block_of(f.seq, f.frames, f.offset, len(f.payload), f.text_length) for f in frames]
    assert [block.number for block in blocks[:4]] == [0, 1, 0, 1]
    for seq, frame in enumerate(map(decode, sources)):
        start, end = blocks[0].place(seq)
        assert (frame.offset, len(frame.payload)) == (start, end - start)


def forged(number, frames, size, parity):
    """A record of which two source frames came, and so many parity frames of rubbish."""
    boot, text = number.to_bytes(16, "big"), (frames - 1) * size
    made = [(0, 0, b"host=x\n"), (1, text - size, bytes(size))]
    made += [(frames + n, 7, random.Random(n).randbytes(size)) for n in range(parity)]
    return [
        HEADER.pack(b"PCST", 1, 1, 0, 0, boot, 1, seq, frames, offset, text, 5, b"forged") + payload
        for seq, offset, payload in made
    ]


@pytest.mark.parametrize(("frames", "size"), [(128, 1300), (128, 8000), (1000, 1000)])
def test_forged_parity_keeps_no_frame_waiting(frames, size):
    """Each record lacks all but two frames and has as much parity; a tick takes a while, not seconds."""
    intake = Intake(Limits(memory=1 << 30), 60)
    for number in range(12):
        assert by_datagram(intake, forged(number, frames, size, -(-frames // 128) * 128)) == []
    assert intake.reassembler.in_flight == 12
    took = []
    while not all(partial.tried for partial in intake.reassembler._partials.values()):
        began = time.thread_time()
        intake.tick(later(RESTORE_S))
        took.append(time.thread_time() - began)
    # A record that has many blocks has its turn more than once.
    assert len(took) >= 12 * min(2, -(-frames // 128)) and max(took) < 1, took
    # A stop waits for it no longer than for the disk.
    assert len(intake.flush()) == 12


def test_the_honest_one_is_restored_before_those_that_lack_much():
    intake = Intake(Limits(memory=1 << 30), 60)
    for number in range(20):
        by_datagram(intake, forged(number, 128, 1300, 128))
    sources, more = frames_of(MANY)
    by_datagram(intake, [*sources[:2], *sources[3:], *more])
    (record,) = intake.tick(later(RESTORE_S))
    assert whole(record, MANY)


def test_a_stop_restores_until_its_time_is_over_and_keeps_what_came_of_the_others(monkeypatch):
    monkeypatch.setattr(reassembly, "LAST_RESTORING_S", 1e-6)
    intake = intake_for(MANY)
    sources, more = frames_of(MANY)
    for number in range(3):
        boot = number.to_bytes(16, "big")
        by_datagram(intake, [one[:8] + boot + one[24:] for one in [*sources[:2], *sources[3:], *more]])
    assert sorted(record.complete for record in intake.flush()) == [False, False, True]
