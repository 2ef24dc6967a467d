# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes captured packets and returns records: picks the decoder, counts every packet and every
drop. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from mmap import mmap
from typing import NamedTuple

from ..records.record import Instant, Record, Source, reply_to
from ..text import matches
from ..wire.answer import is_test
from ..wire.ethernet import PROTOCOL_UDP, parse_ethernet, parse_udp
from ..wire.netconsole import parse_netconsole
from ..wire.raw import decode_raw
from ..wire.sealing import Keys, open_frame
from ..wire.v1 import COUNT, FLAG_SEALED, HEADER, OURS, Drop, Frame, decode, key_in
from . import ringblock
from .gate import LARGE, Gate
from .netconsoleruns import NetconsoleRuns
from .rates import SenderRates
from .rawrecords import RawRecords
from .reassembly import Limits, Reassembler, Spilling

#: Looked up once, because that takes longer than to look up a count.
_RATE = Drop.RATE.value


class Packet(NamedTuple):
    """A captured packet: the payload of a datagram to ``port`` (0: the receiver's own port), or a
    whole frame if ``ethernet`` is set."""

    data: bytes
    source: Source
    ethernet: bool = False
    port: int = 0


class Intake:
    """Decodes packets and counts them. Pure. Only the calling thread writes ``counts``."""

    def __init__(
        self, limits: Limits, raw_window_s: float, spill: Spilling | None = None, netconsole_port: int = 0
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.rates = SenderRates()
        self.keys: Keys = {}
        self.require_sealed = False
        #: Patterns of host names: unsealed frames of these hosts are dropped.
        self.sealed_hosts: Sequence[str] = ()
        self.reassembler = Reassembler(limits, self.counts, spill, self.rates.allows)
        self._ring_gates: ringblock.Gates = (Gate(), Gate())
        self._gates: Sequence[Gate[tuple[bytes, Source]]] = (Gate(), Gate())
        self._raw = RawRecords(raw_window_s, self.counts)
        self._netconsole = NetconsoleRuns(limits.idle_s, self.counts)
        self._netconsole_port = netconsole_port

    def feed(self, packet: Packet, now: Instant) -> list[Record]:
        """Take one packet; return the records that are ready to be stored."""
        self.counts["packets"] += 1
        if packet.ethernet:
            return self._frame(packet.data, packet.source.iface, now)
        return self._take(packet, now)

    def _take(self, packet: Packet, now: Instant) -> list[Record]:
        if len(packet.data) < HEADER.size or (packet.port and packet.port == self._netconsole_port):
            return self._datagram(packet.data, packet.port, packet.source, now)
        return self._alone(packet, now)

    def feed_block(
        self, ring: bytes | mmap, at: int, frames: int, now: Instant, interface: ringblock.Name
    ) -> list[Record]:
        """Take the frames of one block of a packet ring, the first at offset ``at``."""

        def slow(frame: bytes, index: int, now: Instant, may_begin: bool) -> list[Record] | None:
            refused = count(_RATE)
            records = self._frame(frame, interface(index), now, may_begin)
            return records if count(_RATE) == refused else None

        # To look up what is not counted yet takes longer otherwise.
        count = self.counts.get

        self.counts["packets"] += frames
        walk = ringblock.Walk(ring, at, self.reassembler, now, slow, self._ring_gates)
        walk.run(frames)
        self.counts["duplicate"] += walk.duplicates
        self.counts[_RATE] += walk.refused
        self._count_refused()
        return walk.records

    def feed_frames(
        self, ring: bytes | mmap, at: int, frames: int, now: Instant, interface: ringblock.Name
    ) -> list[Record]:
        """Do the same for IPv6: check each datagram's UDP checksum, then decode it."""
        self.counts["packets"] += frames
        records: list[Record] = []
        for frame, index, checked in ringblock.whole_frames(ring, at, frames):
            packet = parse_ethernet(frame)
            if isinstance(packet, Drop):
                self._drop(packet)
                continue
            datagram = parse_udp(packet, checked)
            if isinstance(datagram, Drop):
                self._drop(datagram)
                continue
            reply = reply_to(datagram.data, datagram.sender_port, packet.to)
            source = Source(packet.mac, packet.ip, interface(index), reply)
            records += self._take(Packet(datagram.data, source, port=datagram.port), now)
        return records

    def _frame(self, frame: bytes, iface: str | None, now: Instant, may_begin: bool = False) -> list[Record]:
        packet = parse_ethernet(frame)
        if isinstance(packet, Drop):
            return self._drop(packet)
        source = Source(packet.mac, packet.ip, iface)
        if packet.protocol == PROTOCOL_UDP:
            datagram = parse_udp(packet)
            if isinstance(datagram, Drop):
                return self._drop(datagram)
            if is_test(datagram.data):
                source = source._replace(reply=reply_to(datagram.data, datagram.sender_port, packet.to))
            return self._datagram(datagram.data, datagram.port, source, now, may_begin)
        raw = decode_raw(packet)
        if isinstance(raw, Drop):
            return self._drop(raw)
        if self.require_sealed:
            return self._drop(Drop.UNSEALED)
        if not self.rates.allows(source, now.mono):
            return self._drop(Drop.RATE)
        return self._raw.feed(raw, source, now)

    def set_limits(self, limits: Limits, raw_window_s: float) -> None:
        """Apply other limits; another thread may call this."""
        self.reassembler.limits = limits
        self._netconsole.idle_s = limits.idle_s
        self._raw.window_s = raw_window_s

    def tick(self, now: Instant) -> list[Record]:
        """Return the records of which no frame arrived for a while."""
        return self.reassembler.tick(now) + self._netconsole.tick(now)

    def flush(self) -> list[Record]:
        """Return everything in flight, because the service stops."""
        return self.reassembler.flush() + self._netconsole.flush()

    def _count_refused(self) -> None:
        refused = sum(gate.refused for gate in self._ring_gates) + sum(gate.refused for gate in self._gates)
        if refused:
            self.counts["too many records begin"] = refused

    def _alone(self, packet: Packet, now: Instant) -> list[Record]:
        """Take a datagram that came alone, if not too many records begin."""
        data, source = packet.data, packet.source
        key = key_in(data)
        if data[:5] != OURS or not self.reassembler.begins(key):
            return self._datagram(data, packet.port, source, now)
        count, gate = int.from_bytes(data[COUNT], "big"), self._gates[data[6] & FLAG_SEALED]
        records: list[Record] = []
        for item in gate.through(key, count, (data, source), len(data), now.mono, spent=False):
            refused = self.counts[_RATE]
            records += self._datagram(item[0], packet.port, item[1], now)
            if self.counts[_RATE] == refused or count < LARGE:
                continue
            # Its sender began too many; it is large, perhaps.
            for frame, sender in gate.through(key, count, item, len(data), now.mono, spent=True):
                records += self._datagram(frame, packet.port, sender, now, may_begin=True)
        self._count_refused()
        return records

    def _datagram(
        self, data: bytes, port: int, source: Source, now: Instant, may_begin: bool = False
    ) -> list[Record]:
        if port and port == self._netconsole_port:
            if self.require_sealed:
                return self._drop(Drop.UNSEALED)
            message = parse_netconsole(data)
            return (
                self._drop(Drop.NETCONSOLE)
                if message is None
                else self._netconsole.feed(message, source, now)
            )
        frame = decode(data)
        if isinstance(frame, Drop):
            return self._drop(frame)
        opened = self._open(frame, data)
        if isinstance(opened, Drop):
            return self._drop(opened)
        return self.reassembler.feed(opened, source, now, may_begin)

    def _open(self, frame: Frame, data: bytes) -> Frame | Drop:
        """Return the frame with its payload opened, if it is sealed and new."""
        if not frame.flags & FLAG_SEALED:
            hosts = self.sealed_hosts
            # To tell the host takes longer than to see that none is named.
            unwanted = self.require_sealed or (hosts and matches(frame.host, hosts))
            return Drop.UNSEALED if unwanted else frame
        if self.reassembler.knows(frame):
            return Drop.DUPLICATE
        key = self.keys.get(frame.key_id)
        if key is None:
            return Drop.SEALED
        payload = open_frame(data, key.of(frame.host_field))
        return Drop.FORGED if payload is None else frame._replace(payload=payload)

    def _drop(self, why: Drop) -> list[Record]:
        self.counts[why.value] += 1
        return []
