# SPDX-License-Identifier: GPL-2.0-or-later
"""A flood of forged records: what honest ones take more frames for is not kept out by it."""

import struct

import pytest

from panicast_receiver.assembly.gate import LARGE, Gate
from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.wire.sealing import SharedKey
from panicast_receiver.wire.v1 import HEADER, decode, encode

from ..conftest import ring_block, udp_frame

#: More than may begin at once, of one kind.
MANY = 15_000
FLOODER = Source("02:00:00:00:00:01", "10.0.0.1", "eth0")
HONEST = encode("panic", b"honest" + bytes(10), 1, 1, "honest", b"host=honest\n", b"last words\n" * 2000)


def forged(number, count=1):
    """The first frame of a record that claims ``count`` frames."""
    head = struct.pack(">Q", number), b"forged-%d" % number
    return HEADER.pack(
        *(b"PCST", 1, 1, 0, 0, head[0] + bytes(8), 1, 0, count, 0, 99 * (count > 1), 1, head[1])
    ) + (b"host=%s\n" % head[1])


def spoofed(datagram, number):
    """Its frame, from an address of its own."""
    frame = bytearray(udp_frame(datagram))
    frame[6:12] = b"\x02\x01" + struct.pack(">I", number)
    frame[26:30] = struct.pack(">I", 0x0A000000 + number)
    return bytes(frame)


def fed(intake, frames, through, mono=1.0):
    """The records that are whole of these Ethernet frames, by either way in."""
    now = Instant(mono, 10**18)
    if through == "ring":
        return [
            record
            for at in range(0, len(frames), 1000)
            for record in intake.feed_block(
                *(ring_block(frames[at : at + 1000]), 0, len(frames[at : at + 1000]), now),
                lambda index: "eth0",
            )
        ]
    packets = [Packet(frame[42:], Source(None, str(frame[26:30]))) for frame in frames]
    return [record for packet in packets for record in intake.feed(packet, now)]


@pytest.mark.parametrize("through", ["ring", "udp"])
def test_an_honest_panic_begins_among_more_than_can_be_looked_at(through):
    intake = Intake(Limits(), 60)
    flood = [spoofed(forged(number), number) for number in range(MANY)]
    honest = [spoofed(frame, MANY + 1) for frame in HONEST]
    fed(intake, flood, through)
    assert intake.counts["too many records begin"] > 1000
    mixed = [frame for number, one in enumerate(honest) for frame in (flood[-number - 1], one)]
    hosts = {record.host: record.complete for record in fed(intake, mixed, through)}
    assert hosts == {"honest": True}


def test_a_forger_of_an_address_keeps_its_owner_from_nothing_large():
    intake = Intake(Limits(), 60)
    intake.rates.sources.per_minute = 600
    flood = [udp_frame(forged(number)) for number in range(2000)]
    assert len(fed(intake, flood, "ring")) == 600
    (record,) = fed(intake, [udp_frame(frame) for frame in HONEST], "ring")
    assert record.host == "honest" and record.complete
    assert (
        fed(intake, [udp_frame(frame) for frame in encode("panic", bytes(16), 1, 1, "h", b"", b"x")], "ring")
        == []
    )


def test_a_forger_of_an_address_keeps_its_owner_from_nothing_sealed(vectors):
    sealed = next(vector for vector in vectors if vector["name"] == "sealed panic")
    intake = Intake(Limits(), 60)
    intake.rates.sources.per_minute = 5
    intake.keys = {decode(sealed["frames"][0]).key_id: SharedKey(bytes.fromhex(sealed["key"]))}
    flood = [udp_frame(forged(number)) for number in range(20)]
    # All within one block of the ring.
    *first, record = fed(intake, [*flood, *map(udp_frame, sealed["frames"])], "ring")
    assert len(first) == 5 and record.sealed and record.complete


def test_frames_of_what_does_not_begin_are_held_within_bounds():
    gate = Gate()
    for number in range(200_000):
        gate.through(number.to_bytes(28, "big"), 9, bytes(1400), 1400, 1.0, spent=False)
    held = sum(len(frames) for one in (gate._held, gate._older) for frames in one.values())
    assert held * 1400 < 40 << 20 and gate.refused + held > 180_000


def test_what_is_held_is_forgotten_now_and_then_not_with_each_frame():
    gate = Gate()
    for number in range(33_000 + MANY):
        gate.through(b"%d" % number, 9, b"", 0, 1.0, spent=False)
    assert gate.through(b"honest", 2, b"one", 3, 1.0, spent=False) == []
    for number in range(9):
        gate.through(b"another %d" % number, 9, b"", 0, 1.0, spent=False)
    assert gate.through(b"honest", 2, b"two", 3, 1.0, spent=False) == [b"one", b"two"]


def test_each_frame_is_let_through_or_refused_or_held_once():
    gate, let, given = Gate(), 0, 0
    for begun in range(3):
        # "late" is among the older ones when the next frame of it comes.
        for name, frames in ((b"a", 20_000), (b"late", 1), (b"b", 20_000), (b"late", 1), (b"c", 40_000)):
            for number in range(frames):
                key = name if frames == 1 else b"%s %d" % (name, number)
                let += len(gate.through(b"%d %s" % (begun, key), 9, b"", 0, 1.0, spent=False))
                given += 1
    held = sum(len(frames) for one in (gate._held, gate._older) for frames in one.values())
    assert let + gate.refused + held == given


def test_so_many_frames_as_came_of_it_let_a_record_begin():
    gate = Gate()
    while gate.through(b"", 1, b"", 0, 1.0, spent=False):
        pass
    for rivals, needed in ((0, 2), (2000, 4), (4000, 8)):
        for number in range(rivals):
            for _ in range(needed // 2):
                gate.through(b"%d.%d" % (needed, number), 9, b"", 0, 1.0, spent=False)
        let = [gate.through(b"honest %d" % needed, 50, b"", 0, 1.0, spent=False) for _ in range(needed)]
        assert [len(one) for one in let] == [0] * (needed - 1) + [needed]
    assert LARGE == 8
