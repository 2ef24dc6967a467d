# SPDX-License-Identifier: GPL-2.0-or-later
"""Captured packets in, records out: picks the decoder, counts every packet and every drop. Pure."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from .rawframe import decode_ethernet
from .rawrecords import RawRecords
from .reassembly import Limits, Reassembler
from .record import Instant, Record, Source
from .wire import Drop, decode


class Packet(NamedTuple):
    """What a capture hands over: a UDP payload, or a whole frame when ``ethernet`` is set."""

    data: bytes
    source: Source
    ethernet: bool = False


class Intake:
    """The pure middle of the receiver. ``counts`` is written by the calling thread only."""

    def __init__(self, limits: Limits, raw_window_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self.reassembler = Reassembler(limits, self.counts)
        self._raw = RawRecords(raw_window_s, self.counts)

    def feed(self, packet: Packet, now: Instant) -> list[Record]:
        """Take one packet; returns the records that are ready to be stored."""
        self.counts["packets"] += 1
        if packet.ethernet:
            raw = decode_ethernet(packet.data)
            if not isinstance(raw, Drop):
                return self._raw.feed(raw, packet.source, now)
            self.counts[raw.value] += 1
            return []
        frame = decode(packet.data)
        if not isinstance(frame, Drop):
            return self.reassembler.feed(frame, packet.source, now)
        self.counts[frame.value] += 1
        return []
