# SPDX-License-Identifier: GPL-2.0-or-later
"""The fast path: walks one block of a TPACKET_V3 ring. Pure: a buffer in, records out.

Nearly every frame of a burst belongs to a record in flight. Of such a frame only three parts of the
header are examined. The capture's filter in the kernel ensures that it is a whole UDP datagram to
our port and that its captured length ends where the datagram does.

Neighbours in a block mostly have one size: a run of them is parsed by a few calls into C. Frames
that differ, or that need a closer look, are taken one at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from mmap import mmap
from operator import itemgetter
from typing import Callable, Optional

from ..records.record import Instant, Record
from ..wire.v1 import (
    DIFFERENT,
    FLAG_SEALED,
    HEADER,
    OURS,
    PIECE_END,
    PREFIX_END,
    SEQ_BITS,
    Key,
    key_of,
)
from .gate import LARGE, Gate
from .partial import PIECE_COST, Partial
from .reassembly import DONE, RESTORE_S, UNKNOWN, Reassembler

#: <linux/if_packet.h>: tpacket3_hdr and sockaddr_ll come first, then, at 82 on Ethernet, the frame.
_MAC = 82
_HEADER = _MAC + 14 + 20 + 8
_PAYLOAD = _HEADER + HEADER.size
#: What a frame holds before its payload.
_OVERHEAD = _PAYLOAD - _MAC
#: Where the sender's addresses are.
_SENDER_MAC, _SENDER_IP = _MAC + 6, _MAC + 14 + 12
_SUFFIX = HEADER.size - PIECE_END
#: The count of a record that is one frame.
_ONE = b"\0\1"
#: tp_next_offset, tp_snaplen; the wire header's prefix, count and suffix.
_FAST = struct.Struct(f"=I8xI{_HEADER - 16}x{PREFIX_END}s2x2s4x{_SUFFIX}s")
#: Its seq and offset.
_PIECE = struct.Struct(">H2xI")
#: tp_next_offset, tp_snaplen, tp_mac, sll_ifindex.
_SLOW = struct.Struct("=I8xI8xH26xi")
#: The lower bytes of tp_next_offset and tp_snaplen, which are equal in all frames of a run. Then
#: the higher ones are equal, too: no frame is longer than another by 64 KiB, and those that take
#: equal room by 256.
_SIZES = (0, 1, 12)
#: tp_next_offset, tp_snaplen, tp_status, tp_mac, sll_ifindex.
_WHOLE = struct.Struct("=I8xI4xIH26xi")
#: TP_STATUS_CSUMNOTREADY, TP_STATUS_CSUM_VALID: the sender's card would fill it in, or ours found
#: it right.
_CHECKED = 1 << 3 | 1 << 7
assert _FAST.size == _PAYLOAD and _SLOW.size == 56

#: Frames of a run at most: enough to make the calls cheap, few enough for the CPU's cache.
_RUN = 256
#: Fewer frames are taken one at a time: looking for a run was not worth it.
_SHORT = 8


#: Takes a whole Ethernet frame, the index of its interface, the time, and whether its record may begin
#: whatever its sender's rate. Returns the records that are ready, None if the sender began too many.
Slow = Callable[[bytes, int, Instant, bool], Optional[list[Record]]]
#: One for unsealed records and one for sealed ones. They hold frames with the index of their
#: interface.
Gates = Sequence[Gate[tuple[bytes, int]]]
#: The name of the interface with an index.
Name = Callable[[int], Optional[str]]


@lru_cache(maxsize=512)
def _headers(step: int, count: int) -> struct.Struct:
    """Return what unpacks the headers of ``count`` frames, ``step`` bytes apart.

    One call for all takes a third of the time of one call for each.
    """
    return struct.Struct(f"{_HEADER}x{HEADER.size}s{step - _PAYLOAD}x" * count)


@lru_cache(maxsize=512)
def _keys(count: int) -> struct.Struct:
    """Return what unpacks so many keys."""
    return struct.Struct(f"{HEADER.size}s" * count)


@lru_cache(maxsize=256)
def _rest(step: int, length: int) -> struct.Struct:
    """Return what unpacks seq, offset and the payload of a frame of ``length`` bytes."""
    payload, after = length - _OVERHEAD, step - _MAC - length
    return struct.Struct(f">{_HEADER + PREFIX_END}xH2xI{_SUFFIX}x{payload}s{after}x")


def whole_frames(ring: bytes | mmap, at: int, frames: int) -> Iterator[tuple[bytes, int, bool]]:
    """Yield each frame of a block, the first at offset ``at``: its bytes, the index of its
    interface, and whether the kernel has checked its checksum."""
    for _ in range(frames):
        step, length, status, mac, index = _WHOLE.unpack_from(ring, at)
        yield ring[at + mac : at + mac + length], index, bool(status & _CHECKED)
        at += step


class Walk:
    """Takes the frames of one block, the first at offset ``at``.

    ``slow`` gets the frames that begin a record, and those of other formats.
    """

    def __init__(
        self, ring: bytes | mmap, at: int, reassembler: Reassembler, now: Instant, slow: Slow, gates: Gates
    ) -> None:
        self._ring = ring
        self._at = at
        self._reassembler = reassembler
        self._now = now
        self._slow = slow
        self._gates = gates
        self._fresh = self._bytes = 0
        #: How many frames repeated an earlier one.
        self.duplicates = 0
        #: Senders that may begin no more records in this block: no time passes while it is read.
        self._spent: set[bytes] = set()
        #: How many frames of those were refused unread.
        self.refused = 0
        self.records: list[Record] = []

    def run(self, frames: int) -> None:
        """Take so many frames."""
        pause = 0
        with memoryview(self._ring) as view:
            while frames:
                # The last frame of a block has no next one, and so never is one of a run.
                taken = self._several(view, min(_RUN, frames - 1)) if frames > 1 else 0
                pause = min(_RUN, 2 * pause + 1) if taken < _SHORT else 0
                alone = min(frames - taken, pause or taken < _RUN)
                for _ in range(alone):
                    self._single()
                frames -= taken + alone
        reassembler = self._reassembler
        reassembler.memory += self._bytes + PIECE_COST * self._fresh
        self.records += reassembler.make_room()

    def _several(self, view: memoryview, most: int) -> int:
        """Take frames of one size while they need no closer look; return how many."""
        ring, at = self._ring, self._at
        step: int
        step, length, *_ = _SLOW.unpack_from(ring, at)
        if length < _OVERHEAD or not _MAC + length <= step <= len(ring) - at:
            return 0
        count = min(most, (len(ring) - at) // step)
        for byte in _SIZES:
            column = ring[at + byte : at + count * step : step]
            # To compare all at once takes a fraction of what it takes to look for the first that differs.
            if column != column[:1] * count:
                count -= len(column.lstrip(column[:1]))
        if count < _SHORT:
            return 0
        headers = bytearray().join(_headers(step, count).unpack_from(ring, at))
        for byte in DIFFERENT:
            headers[byte :: HEADER.size] = bytes(count)
        keys = _keys(count).unpack(headers)
        by_key = self._reassembler.by_key
        found: Sequence[Partial]
        try:
            # The quickest way, if all are known.
            found = itemgetter(*keys)(by_key)
        except KeyError:
            found = tuple(map(by_key.get, keys, repeat(UNKNOWN)))
        # Counting asks each record whether it is equal: not where the first one tells.
        if found[0] is DONE and found.count(DONE) == count:
            self.duplicates += count
            self._at = at + count * step
            return count
        rest = _rest(step, length).iter_unpack(view[at : at + count * step])
        return self._add(zip(found, rest), step, length - _OVERHEAD)

    def _add(
        self,
        frames: Iterable[tuple[Partial, tuple[int, int, bytes]]],
        step: int,
        size: int,
    ) -> int:
        """Add these frames to their records until one needs a closer look; return how many it
        took."""
        stamp, taken, duplicates = self._now.mono, 0, 0
        for partial, (seq, offset, payload) in frames:
            if offset + size == partial.end and seq == len(partial.order) < partial.count and partial.open:
                # It follows the last one, as nearly all do.
                partial.order.append(payload)
                partial.end = offset
                partial.heard = stamp
                if not offset:
                    self.records += self._reassembler.settle(partial)
            elif partial is DONE:
                duplicates += 1
            elif not (partial.open and seq):
                break
            elif seq < partial.count:
                if partial.order or offset + size > partial.first.text_length:
                    break
                else:
                    by_key, number = partial.by_key, offset << SEQ_BITS | seq
                    if number not in by_key:
                        by_key[number] = payload
                        partial.heard = stamp
                        if len(by_key) >= partial.count:
                            self.records += self._reassembler.settle(partial)
                    elif len(by_key[number]) >= size:
                        duplicates += 1
                    else:
                        break
            elif partial.take_parity(seq, offset, payload) is not None:
                partial.heard = stamp
                self._reassembler.wake(stamp + RESTORE_S)
            elif partial.parity:
                # There is enough of it.
                duplicates += 1
            else:
                break
            taken += 1
        self._at += taken * step
        self._fresh += taken - duplicates
        self._bytes += (taken - duplicates) * size
        self.duplicates += duplicates
        return taken

    def _single(self) -> None:
        """Take one frame of any kind."""
        ring, at = self._ring, self._at
        if at + _PAYLOAD <= len(ring):
            step, length, *header = _FAST.unpack_from(ring, at)
            if header[0][:5] == OURS and self._ours(step, length, *header):
                return
        step, length, mac, index = _SLOW.unpack_from(ring, at)
        records = self._slow(ring[at + mac : at + mac + length], index, self._now, False)
        self.records += records or []
        self._at = at + step

    def _ours(self, step: int, length: int, prefix: bytes, counted: bytes, suffix: bytes) -> bool:
        """Take a frame with this in its header; return False if it needs a closer look."""
        ring, at = self._ring, self._at
        sealed = prefix[6] & FLAG_SEALED
        # Of most frames of a flood this is all that is looked at: no record of one frame is ever in flight.
        if counted == _ONE and self._gates[sealed].shut(self._now.mono):
            self._gates[sealed].refused += 1
            self._at = at + step
            return True
        key = key_of(prefix, counted, suffix)
        partial = self._reassembler.by_key.get(key)
        if partial is None:
            self._begin(key, int.from_bytes(counted, "big"), sealed)
            return True
        if length >= _OVERHEAD:
            payload = ring[at + _PAYLOAD : at + _MAC + length]
            piece = *_PIECE.unpack_from(ring, at + _HEADER + PREFIX_END), payload
            if self._add([(partial, piece)], step, length - _OVERHEAD):
                return True
        if partial is DONE or not partial.is_spent:
            return False
        self.duplicates += 1
        self._at = at + step
        return True

    def _sender(self, at: int) -> bytes:
        """Return the addresses of the sender of the frame at this offset."""
        ring, mac, ip = self._ring, at + _SENDER_MAC, at + _SENDER_IP
        return ring[mac : mac + 6] + ring[ip : ip + 4]

    def _begin(self, key: Key, count: int, sealed: int) -> None:
        """Take a frame of a record that has not begun, or hold or drop it if too many begin."""
        ring, at = self._ring, self._at
        gate = self._gates[sealed]
        step, length, mac, index = _SLOW.unpack_from(ring, at)
        self._at += step
        spent = bool(self._spent) and not sealed and self._sender(at) in self._spent
        if spent and count < LARGE:
            self.refused += 1
            return
        item = ring[at + mac : at + mac + length], index
        for frame, index in gate.through(key, count, item, length, self._now.mono, spent):
            records = self._slow(frame, index, self._now, spent)
            if records is not None:
                self.records += records
                continue
            self._spent.add(self._sender(at))
            # It is large, perhaps.
            if count >= LARGE:
                gate.through(key, count, (frame, index), length, self._now.mono, spent=True)
