# SPDX-License-Identifier: GPL-2.0-or-later
"""What arrives is bounded, timed and kept as it came: what a small mistake in the middle would change."""

import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from panicast_receiver.assembly import rates, rawrecords
from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.netconsoleruns import TOGETHER
from panicast_receiver.assembly.rawrecords import RawRecords
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.assembly.spill import Spill
from panicast_receiver.records.extents import Run, Unread, held_of, length_of
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.wire.raw import RawFrame
from panicast_receiver.wire.v1 import MAX_TEXT

from ..conftest import ring_block, udp_frame
from ..db.test_store import raw_record
from ..headers import header
from ..wire.test_wire import ethernet

HERE = Source("52:54:00:12:34:56", "10.0.0.7", "eth0")
PORT = 6666
#: A record of three frames: metadata, then its text, newest first.
WHOLE = [(0, 0, b"host=good\n"), (1, 20, b"c" * 10), (2, 0, b"a" * 20)]


def at(seconds):
    return Instant(100.0 + seconds, 1_700_000_000_000_000_000)


def frame(seq, offset, payload, event=1):
    return header(event=event, seq=seq, count=3, offset=offset, length=30) + payload


def by_datagram(intake, frames, now):
    return [record for data in frames for record in intake.feed(Packet(data, HERE), now)]


def by_ring(intake, frames, now):
    made = [udp_frame(data) for data in frames]
    return intake.feed_block(ring_block(made), 0, len(made), now, lambda index: "eth0")


ROADS = pytest.mark.parametrize("road", [by_datagram, by_ring])


@ROADS
@pytest.mark.parametrize(
    ("wrong", "why"),
    [((3, 0, b"x" * 10), "seq not below count"), ((1, 25, b"x" * 10), "payload outside the text")],
)
def test_a_frame_that_cannot_be_of_the_record_adds_nothing_to_it(road, wrong, why):
    intake = Intake(Limits(), 60)
    # Not in order, so that it is not the order that keeps the wrong one out.
    assert road(intake, [frame(*WHOLE[0]), frame(2, 10, b"b" * 10), frame(*wrong)], at(0)) == []
    assert intake.counts[why] == 1
    (record,) = intake.flush()
    assert [(run.offset, run.data) for run in record.runs] == [(10, b"b" * 10)]


@ROADS
def test_a_record_has_no_more_frames_than_it_states(road):
    intake = Intake(Limits(), 60)
    # In order and each where the last one ended; but the text goes on where the frames do not.
    forged = [frame(0, 0, b"host=good\n"), frame(1, 20, b"c" * 10), frame(2, 10, b"b" * 10)]
    assert road(intake, [*forged, frame(3, 0, b"a" * 10)], at(0)) == []
    (record,) = intake.flush()
    assert not record.complete and record.runs[0].offset == 10


@ROADS
@pytest.mark.parametrize("order", [(0, 1), (2, 0), (2, 1)])
def test_a_record_is_idle_from_its_last_frame_on(road, order):
    intake = Intake(Limits(idle_s=5), 60)
    for time, number in zip((0, 4), order):
        assert road(intake, [frame(*WHOLE[number])], at(time)) == []
        assert intake.tick(at(time + 0.1)) == []
    assert intake.tick(at(8.9)) == []
    assert len(intake.tick(at(9))) == 1


def test_room_is_made_of_what_was_heard_longest_ago():
    intake = Intake(Limits(), 60)
    for event in (1, 2, 3):
        frames = [frame(*WHOLE[number], event=event) for number in (0, 1)]
        assert by_datagram(intake, frames, at(10 * event)) == []
    # The first is heard again.
    assert by_datagram(intake, [frame(1, 10, b"b" * 10, event=1)], at(40)) == []
    intake.set_limits(Limits(records=2), 60)
    assert [record.event for record in intake.reassembler.make_room()] == [2, 3]


@ROADS
@pytest.mark.parametrize("settled", [False, True])
def test_a_second_metadata_frame_takes_no_first_ones_place(road, settled):
    intake = Intake(Limits(idle_s=5), 60)
    # As many pieces as frames that are not the whole: each is then put into its place.
    first = [frame(*WHOLE[0]), frame(*WHOLE[1]), *([frame(2, 15, b"b" * 10)] if settled else [])]
    assert road(intake, [*first, frame(0, 0, b"host=evil\n")], at(0)) == []
    (record,) = intake.tick(at(5))
    assert record.meta == {"host": "good"}


@ROADS
@pytest.mark.parametrize(
    "pieces", [[(2, 10, b"a" * 10), *WHOLE[1:]], [(2, 0, b"a" * 10), (1, 10, b"c" * 20), (1, 0, b"a" * 5)]]
)
def test_a_text_that_is_whole_waits_for_its_metadata(road, pieces):
    intake = Intake(Limits(), 60)
    assert road(intake, [frame(*piece) for piece in pieces], at(0)) == []
    (record,) = road(intake, [frame(*WHOLE[0])], at(1))
    assert record.complete and record.meta == {"host": "good"}


def test_the_handoff_is_as_full_as_what_is_in_it():
    large = replace(raw_record(b"x" * 4096), frames=9)
    handoff = Handoff(limit_bytes=3 * 6000)
    waits = []

    def beat():
        waits.append(handoff.bytes)
        threading.Timer(0, handoff.take, (1, 0)).start()

    for _ in range(3):
        handoff.put([large] * 3, beat)
        assert 3 * 4096 < handoff.bytes <= handoff.limit and not waits
        assert len(handoff.take(3, 0)) == 3 and handoff.bytes == 0
    handoff.put([large] * 3, beat)
    assert not waits
    handoff.put([large], beat)
    assert waits


def test_who_lies_on_the_disk_is_as_worthy_of_waiting_as_who_does_not():
    """A text that was spilled takes no memory, but took as many frames."""
    large = replace(raw_record(b"x" * 4096), frames=9)
    spilled = replace(large, runs=Unread(lambda: (Run(0, b"x" * 4096),), 4096, 0, None))
    small = raw_record(b"x")
    handoff = Handoff(limit_bytes=3200)
    assert handoff.put([small, spilled, small]) == 3 and handoff.dropped == 1
    assert handoff.take(3, 0) == [spilled, small] and handoff.bytes == 0


def test_what_ends_at_once_is_read_from_the_disk_one_by_one(tmp_path):
    """Together it is more than the memory that the service may use."""
    spill = Spill(tmp_path, 1 << 20)
    intake = Intake(Limits(memory=40_000, idle_s=5), 60, spill)
    for event in range(1, 9):
        numbers = range(1, 11)
        frames = [
            header(event=event, seq=seq, count=12, offset=1300 * seq, length=14_300) + b"x" * 1300
            for seq in numbers
        ]
        assert by_datagram(intake, frames, at(0)) == []
    assert spill.live > 60_000 and intake.reassembler.memory <= 40_000
    records = intake.tick(at(9)) + intake.tick(at(9))
    assert len(records) == 8 and sum(held_of(record.runs) for record in records) <= 40_000
    while records:
        record = records.pop()
        assert length_of(record.runs) == sum(len(run.data) for run in record.runs) == 13_000
    del record
    assert spill.live == 0
    spill.close()


def test_the_spill_file_has_no_name_lies_in_its_folder_and_has_a_bound(tmp_path):
    spill = Spill(tmp_path, 100)
    where = Path(f"/proc/self/fd/{spill._file.fileno()}").readlink()
    assert where.parent == tmp_path and list(tmp_path.iterdir()) == []
    assert spill.put([b"x" * 60]) == 0 and spill.put([b"y" * 41]) is None
    assert spill.put([b"z" * 40]) == 60 and spill.read(range(60, 100)) == b"z" * 40
    # Room again only when nothing in it is needed: no place is given twice.
    spill.free(60)
    assert spill.put([b"w"]) is None and spill.read(range(60, 100)) == b"z" * 40
    spill.free(40)
    assert os.fstat(spill._file.fileno()).st_size == 0 and spill.put([b"w" * 100]) == 0
    spill.close()


def test_what_the_disk_did_not_take_takes_no_room(tmp_path, monkeypatch):
    spill = Spill(tmp_path, 100)
    assert spill.put([b"x" * 60]) == 0
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda *_: os.read(-1, 1))
        assert spill.put([b"y" * 40]) is None
    assert spill.live == 60 and spill.put([b"z" * 40]) == 60
    assert spill.read(range(60, 100)) == b"z" * 40
    spill.close()


@pytest.mark.parametrize("ends", ["whole", "idle", "dropped"])
def test_what_was_spilled_is_given_back_however_its_record_ends(tmp_path, monkeypatch, ends):
    spill = Spill(tmp_path, 1 << 20)
    intake = Intake(Limits(idle_s=5), 60, spill)
    kept = WHOLE[:1] if ends == "dropped" else WHOLE[:2]
    by_datagram(intake, [frame(*one) for one in kept], at(0))
    intake.set_limits(Limits(memory=1, idle_s=5), 60)
    # Room is made for what comes; what was there goes to the disk first.
    monkeypatch.setattr(intake.reassembler, "limits", Limits(memory=intake.reassembler.memory - 5))
    assert intake.reassembler.make_room() == [] and spill.live > 0
    intake.set_limits(Limits(idle_s=5), 60)
    monkeypatch.setattr("panicast_receiver.assembly.reassembly.FLOOD", 0 if ends == "dropped" else 1000)
    records = by_datagram(intake, [frame(*WHOLE[2])], at(1)) if ends == "whole" else intake.tick(at(9))
    assert len(records) == (ends != "dropped")
    assert all(run.data for record in records for run in record.runs)
    records.clear()
    assert spill.live == 0
    spill.close()


def heard(lines):
    """A receiver that has heard so of netconsole."""
    intake = Intake(Limits(), 60, netconsole_port=PORT)
    for line in lines:
        intake.feed(Packet(line, HERE, port=PORT), at(0))
    return intake


PANIC = b"0,1,1,-;Kernel panic - not syncing: x\n"


def test_a_message_that_says_it_is_longer_than_any_is_none():
    intake = heard([PANIC, b"6,2,2,-,ncfrag=0/1000000000;x"])
    assert intake.counts["netconsole messages incomplete"] == 1
    (record,) = intake.tick(at(9))
    assert b"x[panicast" not in record.received_text and record.text_length < 1000


def test_for_how_long_a_sender_may_be_silent_changes_with_the_settings():
    intake = heard([PANIC])
    assert intake.tick(at(3)) == []
    intake.set_limits(Limits(idle_s=2), 60)
    assert len(intake.tick(at(3))) == 1


def test_messages_that_lack_pieces_end_when_there_are_too_many():
    intake = heard([b"6,%d,1,-,ncfrag=0/9;x" % number for number in range(40)])
    assert intake.counts["netconsole messages incomplete"] == 40 - 16


def test_a_panics_text_ends_somewhere():
    lines = [b"6,%d,3,-;" % number + b"x" * 900 + b"\n" for number in range(2, 1400)]
    intake = heard([PANIC, *lines])
    assert 100 < intake.counts["netconsole text too long"] < len(lines)
    assert intake._netconsole._size < 2 * MAX_TEXT < TOGETHER
    (record,) = intake.tick(at(9))
    assert MAX_TEXT * 0.7 < record.text_length <= MAX_TEXT


def test_senders_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(rates, "REMEMBERED", 10)
    rate = rates.Rate(1)
    assert all(rate.allows(number, 0.0) for number in range(20))
    assert not any(rate.allows(number, 0.0) for number in range(10, 20))
    assert rate.allows(0, 0.0) and len(rate._buckets) == 10


def test_what_was_not_used_for_long_may_not_be_used_at_once():
    allowance = rates.Allowance(60, 3)
    assert [allowance.allows(1.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.allows(3600.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.allows(3602.0) for _ in range(3)] == [True, True, False]


def test_raw_texts_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(rawrecords, "REMEMBERED", 10)
    raw = RawRecords(60, Counter())
    frames = [RawFrame("52:54:00:12:34:56", None, b"text %d" % number) for number in range(20)]
    assert all(raw.feed(one, HERE, at(0)) for one in frames)
    assert not any(raw.feed(one, HERE, at(1)) for one in frames[10:])
    assert raw.feed(frames[0], HERE, at(1)) and len(raw._heard) == 10
    # Who repeats itself is remembered; what was silent for longest is forgotten.
    assert not raw.feed(frames[11], HERE, at(2)) and raw.feed(frames[1], HERE, at(2))
    assert not raw.feed(frames[11], HERE, at(3)) and raw.feed(frames[12], HERE, at(3))


def test_how_long_a_raw_text_is_remembered_can_change():
    intake = Intake(Limits(), 60)
    frame = Packet(ethernet(), Source(iface="eth0"), ethernet=True)
    assert [len(intake.feed(frame, at(second))) for second in (0, 10)] == [1, 0]
    intake.set_limits(Limits(), 5)
    assert [len(intake.feed(frame, at(second))) for second in (12, 20, 24)] == [0, 1, 0]
