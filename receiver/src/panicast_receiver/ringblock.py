# SPDX-License-Identifier: GPL-2.0-or-later
"""The fast path: walks one block of a TPACKET_V3 ring. Pure: a buffer in, records out.

Of a frame that belongs to a record in flight, and that is nearly every frame of a burst, only the header's
three parts are looked at. The capture's filter in the kernel has seen to it that such a frame is a whole
UDP datagram to our port and that its captured length ends where the datagram does.
"""

from __future__ import annotations

import struct
from itertools import repeat
from mmap import mmap
from typing import Callable, Optional

from .pieces import PIECE_COST
from .reassembly import DONE, Reassembler
from .record import Instant, Record
from .wire import HEADER

#: <linux/if_packet.h>: tpacket3_hdr and sockaddr_ll come first, then, at 82 on Ethernet, the frame.
_MAC = 82
_HEADER = _MAC + 14 + 20 + 8
_PAYLOAD = _HEADER + HEADER.size
#: What a frame holds before its payload.
_OVERHEAD = _PAYLOAD - _MAC
#: tp_next_offset, tp_snaplen; the wire header's prefix, piece number and suffix.
_FAST = struct.Struct(f"=I8xI{_HEADER - 16}x28sQ44s")
#: tp_next_offset, tp_snaplen, tp_mac, sll_ifindex.
_SLOW = struct.Struct("=I8xI8xH26xi")
assert _FAST.size == _PAYLOAD and _SLOW.size == 56

#: Takes a whole Ethernet frame and the index of the interface it came by.
Slow = Callable[[bytes, int, Instant], list[Record]]
#: The name of the interface with an index.
Name = Callable[[int], Optional[str]]


def walk(
    ring: bytes | mmap, at: int, frames: int, reassembler: Reassembler, now: Instant, slow: Slow
) -> tuple[int, list[Record]]:
    """Take ``frames`` frames, the first at offset ``at``; how many repeated an earlier one, and the records.

    ``slow`` takes the frames that begin a record, or that are none of ours.
    """
    unpack, by_prefix, stamp = _FAST.unpack_from, reassembler.by_prefix.get, now.mono
    duplicates = fresh = size = 0
    records: list[Record] = []
    for _ in repeat(None, frames):
        try:
            step, length, prefix, number, suffix = unpack(ring, at)
        except struct.error:
            # A short frame at the very end of the ring.
            step, prefix = 0, b""
        partial = by_prefix(prefix)
        if partial is DONE:
            duplicates += 1
            at += step
            continue
        if partial is not None and partial.suffix == suffix:
            pieces, payload = partial.pieces, length - _OVERHEAD
            known = pieces.get(number)
            if known is None and payload >= 0:
                pieces[number] = ring[at + _PAYLOAD : at + _MAC + length]
                fresh += 1
                size += payload
                partial.heard = stamp
                partial.left = left = partial.left - payload - 1
                if left <= 0:
                    records += reassembler.settle(partial)
                at += step
                continue
            if known is not None and len(known) >= payload:
                duplicates += 1
                at += step
                continue
        step, length, mac, index = _SLOW.unpack_from(ring, at)
        records += slow(ring[at + mac : at + mac + length], index, now)
        at += step
    reassembler.memory += size + PIECE_COST * fresh
    return duplicates, records + reassembler.make_room()
