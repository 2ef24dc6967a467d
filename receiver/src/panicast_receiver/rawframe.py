# SPDX-License-Identifier: GPL-2.0-or-later
"""The raw format: one Ethernet frame in, the sender's MAC and text or a drop reason out. Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .wire import Drop

IP_PROTOCOL = 255
MAX_TEXT = 1024
ETHERTYPE_IP = 0x0800
VLAN_TAGS = frozenset({0x8100, 0x88A8})
_IP = struct.Struct(">BBHHHBBH4s4s")
#: More-fragments bit and fragment offset; Don't Fragment is not part of it.
_FRAGMENT = 0x3FFF


class RawFrame(NamedTuple):
    """One valid raw frame: ``mac`` as aa:bb:cc:dd:ee:ff, ``ip`` dotted, None where it is 0.0.0.0."""

    mac: str
    ip: str | None
    text: bytes


def decode_ethernet(frame: bytes) -> RawFrame | Drop:
    """Decode one Ethernet frame, with up to two VLAN tags.

    The IP total length decides where the text ends, since Ethernet pads short frames. A zero IP
    checksum is accepted: the format's first senders do not compute it.
    """
    start = 14
    while int.from_bytes(frame[start - 2 : start], "big") in VLAN_TAGS and start < 22:
        start += 4
    if len(frame) < start + _IP.size:
        return Drop.SHORT
    if int.from_bytes(frame[start - 2 : start], "big") != ETHERTYPE_IP:
        return Drop.NOT_RAW
    version_ihl, _, total, _, fragment, _, protocol, checksum, source, _ = _IP.unpack_from(frame, start)
    header = (version_ihl & 0x0F) * 4
    if version_ihl >> 4 != 4 or protocol != IP_PROTOCOL or header < _IP.size:
        return Drop.NOT_RAW
    if fragment & _FRAGMENT:
        return Drop.FRAGMENT
    if len(frame) < start + max(total, header):
        return Drop.TRUNCATED
    if checksum and _ones_complement_sum(frame[start : start + header]) != 0xFFFF:
        return Drop.CHECKSUM
    text = frame[start + header : start + total]
    if not 1 <= len(text) <= MAX_TEXT:
        return Drop.RAW_LENGTH
    ip = ".".join(map(str, source)) if any(source) else None
    return RawFrame(frame[6:12].hex(":"), ip, text)


def _ones_complement_sum(header: bytes) -> int:
    """The IP checksum's sum: 0xFFFF over a header that holds its own valid checksum."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
