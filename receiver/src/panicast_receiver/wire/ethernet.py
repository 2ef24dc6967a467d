# SPDX-License-Identifier: GPL-2.0-or-later
"""One Ethernet frame in, the IPv4 packet in it or a drop reason out. Pure."""

from __future__ import annotations

import struct
from socket import inet_ntoa
from typing import NamedTuple

from .v1 import Drop

ETHERTYPE_IP = 0x0800
_TYPE_IP = ETHERTYPE_IP.to_bytes(2, "big")
_TYPES_VLAN = (b"\x81\x00", b"\x88\xa8")
PROTOCOL_UDP = 17
_IP = struct.Struct(">BBHHHBBH4s4s")
_NO_ADDRESS = bytes(4)
_UDP = struct.Struct(">HHHH")
#: More-fragments bit and fragment offset; Don't Fragment is not part of it.
_FRAGMENT = 0x3FFF


class IPv4(NamedTuple):
    """``mac`` and ``ip`` of the sender, the latter None where it is 0.0.0.0; ``data`` after the IP header."""

    mac: str
    ip: str | None
    protocol: int
    header: bytes
    data: bytes


class Datagram(NamedTuple):
    """What is in a UDP packet, and the port it was sent to."""

    port: int
    data: bytes


def parse_ethernet(frame: bytes) -> IPv4 | Drop:
    """The IPv4 packet in one Ethernet frame, with up to two VLAN tags.

    The IP total length decides where the data ends, since Ethernet pads short frames.
    """
    start = 14
    while (ethertype := frame[start - 2 : start]) in _TYPES_VLAN and start < 22:
        start += 4
    if len(frame) < start + _IP.size:
        return Drop.SHORT
    if ethertype != _TYPE_IP:
        return Drop.NOT_OURS
    version_ihl, _, total, _, fragment, _, protocol, _, source, _ = _IP.unpack_from(frame, start)
    header = (version_ihl & 0x0F) * 4
    if version_ihl >> 4 != 4 or header < _IP.size:
        return Drop.NOT_OURS
    if fragment & _FRAGMENT:
        return Drop.FRAGMENT
    if len(frame) < start + max(total, header):
        return Drop.TRUNCATED
    ip = inet_ntoa(source) if source != _NO_ADDRESS else None
    end = start + header
    return IPv4(frame[6:12].hex(":"), ip, protocol, frame[start:end], frame[end : start + total])


def parse_udp(data: bytes) -> Datagram | Drop:
    """The datagram in the data of an IPv4 packet. Its checksum is not looked at: the wire has none."""
    if len(data) < _UDP.size:
        return Drop.SHORT
    _, port, length, _ = _UDP.unpack_from(data)
    if length < _UDP.size:
        return Drop.SHORT
    if length > len(data):
        return Drop.TRUNCATED
    return Datagram(port, data[_UDP.size : length])
