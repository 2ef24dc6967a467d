# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses the raw format. Pure: it takes an IPv4 packet and returns the sender's MAC and text, or
why to drop it."""

from __future__ import annotations

from typing import NamedTuple

from .ethernet import IPPacket, adds_up
from .v1 import Drop

IP_PROTOCOL = 255
MAX_TEXT = 1024


class RawFrame(NamedTuple):
    """A valid raw frame: ``mac`` as aa:bb:cc:dd:ee:ff, ``ip`` dotted, None for 0.0.0.0."""

    mac: str
    ip: str | None
    text: bytes


def decode_raw(packet: IPPacket) -> RawFrame | Drop:
    """Return the frame in a packet of protocol 255, or why it is dropped.

    A zero IP checksum is accepted: the format's first senders do not compute it.
    """
    if packet.protocol != IP_PROTOCOL:
        return Drop.NOT_OURS
    checksum = int.from_bytes(packet.header[10:12], "big")
    if checksum and not adds_up(packet.header):
        return Drop.CHECKSUM
    if not 1 <= len(packet.data) <= MAX_TEXT:
        return Drop.RAW_LENGTH
    return RawFrame(packet.mac, packet.ip, packet.data)
