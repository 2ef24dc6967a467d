# SPDX-License-Identifier: GPL-2.0-or-later
"""When much comes, frames gather for a moment before they are taken."""

import mmap
import socket
import struct
import time
from types import SimpleNamespace

import pytest

from panicast_receiver.assembly.intake import Intake
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.capture import Read
from panicast_receiver.capture.ring import RingCapture
from panicast_receiver.records.record import Instant
from panicast_receiver.service import listener as listener_module
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.service.listener import Listener
from panicast_receiver.wire.ethernet import ETHERTYPE_IP

from ..conftest import ring_block, udp_frame, wait_until

BLOCK = 1 << 20


class Nothing:
    """A socket without an error."""

    def getsockopt(self, *option):
        return 0


def ring_of(blocks, *frames):
    """A ring of which the first blocks hold so many frames each."""
    capture = RingCapture.__new__(RingCapture)
    capture._ring = mmap.mmap(-1, blocks * BLOCK)
    for number, count in enumerate(frames):
        block = ring_block([udp_frame(b"no frame of ours")] * count)
        struct.pack_into("=8xIII", capture._ring, number * BLOCK, 1, count, 48)
        capture._ring[number * BLOCK + 48 : number * BLOCK + 48 + len(block)] = block
    capture.ethertype = ETHERTYPE_IP
    capture._blocks, capture._next, capture._sock, capture._rest_s = blocks, 0, Nothing(), 0.01
    return capture


@pytest.mark.parametrize(
    ("frames", "rest_s"), [([], 0), ([10], 0), ([300, 300], 0.01), ([600, 10], 0.01), ([600] * 3, 0)]
)
def test_a_ring_rests_when_it_gave_many_frames_and_has_no_more(frames, rest_s):
    read = ring_of(3, *frames).read(Intake(Limits(), 60), Instant(1.0, 1))
    assert (read.packets, read.rest_s) == (sum(frames), rest_s)


class Ready:
    """A capture that always has something, and counts how often it was read."""

    name = "ready"

    def __init__(self, rest_s):
        self.rest_s, self.reads, self.refreshed = rest_s, 0, 0
        self._socket, self._other = socket.socketpair()
        self._other.send(b"x")

    def fileno(self):
        return self._socket.fileno()

    def read(self, intake, now):
        self.reads += 1
        return Read(0, [], self.rest_s)

    def refresh(self):
        self.refreshed += 1

    def close(self):
        self._socket.close()
        self._other.close()


@pytest.mark.parametrize(("rests", "rest_s"), [([0.05], 0.05), ([0.05, 0.1], 0.05), ([0.05, 0], 0)])
def test_the_listener_rests_as_long_as_all_allow(rests, rest_s, monkeypatch):
    """What it asks the system for: how long that lets it wait depends on what else runs."""
    rested = []
    real = time.sleep
    clock = SimpleNamespace(**{**vars(time), "sleep": lambda s: rested.append(s) or real(s)})
    monkeypatch.setattr(listener_module, "time", clock)
    captures = [Ready(one) for one in rests]
    listener = Listener(captures, Intake(Limits(), 60), Handoff())
    listener.start()
    wait_until(lambda: captures[0].reads > 5)
    listener.stop()
    listener.join()
    for capture in captures:
        capture.close()
    # The last one is that of the end.
    assert len(rested) > 5 and set(rested[:-1]) == {rest_s}


def test_interfaces_that_were_gone_are_looked_for(monkeypatch):
    monkeypatch.setattr(listener_module, "_REFRESH_S", 0.05)
    captures = [Ready(0.01), Ready(0.01)]
    listener = Listener(captures, Intake(Limits(), 60), Handoff())
    listener.start()
    wait_until(lambda: min(capture.refreshed for capture in captures) > 2)
    listener.stop()
    listener.join()
    for capture in captures:
        capture.close()
