# SPDX-License-Identifier: GPL-2.0-or-later
"""Who asks for more than is his is refused, stays refused, and is counted; who does not is not."""

import errno
import os
import struct
from types import SimpleNamespace

import pytest

from panicast_receiver.assembly import gate, netconsoleruns, rates
from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.assembly.spill import Spill
from panicast_receiver.capture.ring import RingCapture
from panicast_receiver.records.record import Source
from panicast_receiver.wire.sealing import SharedKey, seal_datagram
from panicast_receiver.wire.v1 import encode

from ..conftest import udp_frame
from ..headers import header
from ..wire.test_wire import ethernet
from .test_arriving import HERE, PANIC, PORT, ROADS, WHOLE, at, by_datagram, by_ring, frame, heard


def test_a_sender_of_raw_frames_begins_no_more_records_than_others_may():
    intake = Intake(Limits(), 60)
    intake.rates.macs.per_minute = 3
    frames = [ethernet(b"Kernel panic - not syncing: %d" % number) for number in range(9)]
    made = [intake.feed(Packet(one, Source(iface="eth0"), ethernet=True), at(0)) for one in frames]
    assert sum(map(len, made)) == 3 and intake.counts["sender begins too many records"] == 6


def test_who_asks_again_is_refused_again_until_time_has_passed():
    rate = rates.Rate(60)
    assert sum(rate.allows("a", 1.0) for _ in range(200)) == 60
    assert not rate.allows("a", 1.9) and rate.allows("a", 2.0) and not rate.allows("a", 2.0)


@ROADS
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("frames", "begun"), [(gate.LARGE, 1), (gate.LARGE - 1, 0)])
def test_a_large_record_begins_though_its_sender_begins_too_many(road, frames, begun, together):
    intake = Intake(Limits(), 60)
    intake.rates.sources.per_minute = 1
    small = [header(event=event, seq=0, count=1, length=0) for event in range(100, 120)]
    large = [header(event=1, seq=seq, count=frames, length=0) for seq in range(frames)]
    parts = [small + large] if together else [small, large]
    found = [record for part in parts for record in road(intake, part, at(0))]
    assert [record.event for record in (*found, *intake.flush())].count(1) == begun


@pytest.mark.parametrize("sealed", [0, 1])
def test_what_is_held_back_is_counted_whichever_way_it_came(monkeypatch, sealed):
    """In a ring, and by a socket."""
    monkeypatch.setattr(gate, "_STAGES", {1: (5, 60)})
    intake = Intake(Limits(), 60)
    for road, first, counted in ((by_datagram, 0, 4), (by_ring, 100, 8)):
        events = range(first, first + 9)
        road(intake, [header(event=one, seq=0, count=1, length=0, flags=sealed) for one in events], at(0))
        assert intake.counts["too many records begin"] == counted


def test_a_frame_that_was_held_for_long_still_helps_its_record_to_begin():
    held = gate.Gate()
    while held.through(b"", 1, b"", 0, 1.0, spent=False):
        pass
    assert held.through(b"honest", 9, b"one", 3, 1.0, spent=True) == []
    # So many others that a new generation of them begins.
    for number in range(32_768):
        held.through(b"%d" % number, 9, b"", 0, 1.0, spent=True)
    more = [held.through(b"honest", 9, b"more", 4, 1.0, spent=True) for _ in range(7)]
    assert more == [[]] * 6 + [[b"one"] + [b"more"] * 7]
    assert held.refused == 1


def test_a_panic_has_as_many_facts_as_anybody_reads_and_its_own_stand():
    many = b"".join(b" key%d=%d\n" % (number, number) for number in range(500))
    panic = PANIC.replace(b"0,1,1", b"0,2,2") + b" key7=panic\n key900=x\n"
    intake = heard([b"6,1,1,-;before\n" + many, panic])
    (record,) = intake.tick(at(9))
    assert len(record.meta) == 300 and record.meta["key7"] == "panic" and "key900" not in record.meta


def test_a_panic_that_had_to_make_room_is_told_once(monkeypatch):
    monkeypatch.setattr(netconsoleruns, "TOGETHER", 9000)
    intake = heard([PANIC])
    others = [Packet(b"6,1,1,-;x\n", HERE._replace(ip=f"10.0.1.{number}"), port=PORT) for number in range(9)]
    (record,) = [record for one in others for record in intake.feed(one, at(1))]
    assert record.reason == "x"
    assert intake.tick(at(9)) == [] and intake.flush() == []


def test_what_the_file_does_not_have_is_not_taken_for_what_was_put_there(tmp_path):
    spill = Spill(tmp_path, 100)
    assert spill.put([b"x" * 60]) == 0
    os.ftruncate(spill._file.fileno(), 40)
    with pytest.raises(OSError, match="Input/output error"):
        spill.read(range(60))
    spill.close()


def test_a_sealed_record_is_looked_at_as_often_as_its_frames_come():
    """Nobody else makes frames that open, so no number of passes and interfaces is too many."""
    key = SharedKey(bytes(range(32)))
    text = bytes(range(97, 107)) * 20

    def sealed(seq, offset, payload):
        plain = header(seq=seq, count=6, offset=offset, length=200, host=b"h".ljust(32, b"\0")) + payload
        return seal_datagram(plain, 1, key.of(plain[48:80]))

    # Cut in two ways, so that no frame is known by its place.
    sizes = [(size, number, number * size) for size in (50, 40) for number in range(200 // size)]
    frames = [sealed(number + 1, start, text[start : start + size]) for size, number, start in sizes]
    missing = [one for one in frames if struct.unpack_from(">I", one, 32)[0] + 40 < 200]
    intake = Intake(Limits(), 60)
    intake.keys = {1: key}
    for _ in range(40):
        assert by_ring(intake, missing, at(0)) == []
    (record,) = by_ring(intake, [sealed(0, 0, b"host=h\n"), *frames], at(1))
    assert record.complete and record.received_text == text


class Sock:
    """A packet socket whose counter is cleared by who reads it, as the kernel's is."""

    def __init__(self, *drops):
        self._drops = list(drops)

    def getsockopt(self, level, option, size):
        return struct.pack("III", 9, self._drops.pop(0), 0)


def test_what_the_kernel_dropped_of_a_ring_adds_up():
    capture = RingCapture.__new__(RingCapture)
    capture._sock, capture._lost = Sock(3, 0, 4), 0
    assert [capture.lost() for _ in range(3)] == [3, 3, 7]


@pytest.mark.parametrize(
    "packet",
    [
        Packet(header(seq=0, length=0, count=1), HERE),
        Packet(udp_frame(header(seq=0, length=0, count=1)), HERE, ethernet=True),
        Packet(ethernet(), HERE, ethernet=True),
        Packet(PANIC, HERE, port=PORT),
        Packet(udp_frame(PANIC, PORT), HERE, ethernet=True),
    ],
    ids=["a datagram", "a frame", "raw", "netconsole", "netconsole in a frame"],
)
def test_where_all_must_be_sealed_nothing_else_is_a_record(packet):
    for needed, wanted in ((False, 1), (True, 0)):
        intake = Intake(Limits(), 60, netconsole_port=PORT)
        intake.require_sealed = needed
        assert len(intake.feed(packet, at(0)) + intake.flush()) == wanted
        assert intake.counts["not sealed"] == 1 - wanted


@pytest.mark.parametrize(("wanted_mib", "has_mib"), [(64, 64), (64, 3), (7, 2), (3, 2), (1, 2)])
def test_a_ring_is_as_large_as_memory_allows_and_never_none(wanted_mib, has_mib):
    asked = []

    def setsockopt(level, option, request):
        _, blocks, *_ = struct.unpack("7I", request)
        asked.append(blocks)
        # A ring of no blocks is none: the kernel says yes and takes it away.
        if blocks > has_mib:
            raise OSError(errno.ENOMEM, "no memory")

    capture = RingCapture.__new__(RingCapture)
    capture._sock = SimpleNamespace(setsockopt=setsockopt)
    assert 2 << 20 <= capture._make_ring(wanted_mib << 20) == asked[-1] << 20 <= max(2, has_mib) << 20


def test_a_ring_for_which_there_is_no_memory_at_all_is_an_error():
    def setsockopt(level, option, request):
        raise OSError(errno.ENOMEM, "no memory")

    capture = RingCapture.__new__(RingCapture)
    capture._sock = SimpleNamespace(setsockopt=setsockopt)
    with pytest.raises(OSError, match="no memory"):
        capture._make_ring(7 << 20)


def test_no_host_says_itself_how_much_of_it_was_lost():
    """That is ours to count: a record with it would never be whole."""
    intake = heard([PANIC + b" lost_messages=7\n rack=r7\n"])
    (record,) = intake.tick(at(9))
    assert record.complete and record.meta == {"rack": "r7"}


@pytest.mark.parametrize(("first", "second", "lost"), [(5, 8, 2), (8, 5, 0), (5, 5, 0), (0, 1 << 31, 0)])
def test_numbers_that_go_back_are_no_loss(first, second, lost):
    """A message that was late, or a sender that began anew."""
    lines = [
        PANIC.replace(b"0,1,1", b"0,1,%d" % 1) + b" msgid=%d\n" % first,
        b"6,2,2,-;after\n msgid=%d\n" % second,
    ]
    (record,) = heard(lines).tick(at(9))
    assert record.meta.get("lost_messages", "0") == str(lost)


@pytest.mark.parametrize(
    "addresses", [("52:54:00:12:34:56", None), (None, "10.0.0.7"), ("52:54:00:12:34:56", "fe80::1")]
)
def test_whoever_shows_one_address_is_told_apart_by_it(addresses):
    limits = rates.SenderRates(per_source=2)
    assert [limits.allows(Source(*addresses), 1.0) for _ in range(3)] == [True, True, False]
    assert limits.allows(Source("52:54:00:00:00:01", "10.0.0.1"), 1.0)
    # Who shows none is everybody.
    assert all(limits.allows(Source(), 1.0) for _ in range(9))


def test_patience_that_was_set_longer_than_ours_is_kept():
    intake = Intake(Limits(idle_s=600), 60)
    for event, second in ((1, 0), (2, 100)):
        assert by_datagram(intake, [frame(*WHOLE[0], event=event)], at(second)) == []
    assert intake.tick(at(599)) == []
    assert [[record.event for record in intake.tick(at(second))] for second in (600, 699, 700)] == [
        [1],
        [],
        [2],
    ]


def test_a_record_that_parity_could_not_restore_is_handed_out_when_it_is_idle():
    """Though nothing else happens that would have it looked at."""
    whole = encode("panic", b"b" * 16, 1, 5, "h", b"host=h\n", b"x" * 9000)
    parity = (
        header(seq=len(whole), count=len(whole), offset=7, length=9000, host=b"h".ljust(32, b"\0"))
        + b"p" * 1300
    )
    intake = Intake(Limits(idle_s=5), 60)
    assert by_datagram(intake, [*whole[:2], parity], at(0)) == []
    assert [intake.tick(at(second)) for second in (0.3, 1, 4.9)] == [[]] * 3
    assert len(intake.tick(at(5.1))) == 1


def test_what_is_freed_after_the_file_is_closed_harms_nobody(tmp_path):
    """A record that somebody holds when the service has ended."""
    spill = Spill(tmp_path, 100)
    assert spill.put([b"x" * 60]) == 0
    spill.close()
    spill.free(60)
    assert spill.live == 0
