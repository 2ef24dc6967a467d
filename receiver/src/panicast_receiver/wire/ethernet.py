# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses one Ethernet frame into an IP packet, or a reason to drop it. Pure."""

from __future__ import annotations

import struct
from socket import AF_INET6, inet_ntoa, inet_ntop
from typing import NamedTuple

from .v1 import Drop

ETHERTYPE_IP, ETHERTYPE_IPV6 = 0x0800, 0x86DD
TYPES_VLAN = (0x8100, 0x88A8)
_TYPES_VLAN = tuple(value.to_bytes(2, "big") for value in TYPES_VLAN)
PROTOCOL_UDP = 17
#: Headers allowed between IPv6 and UDP: hop-by-hop options, routing, destination options; and how
#: many.
EXTENSIONS, MOST_EXTENSIONS = (0, 43, 60), 4
_FRAGMENT_HEADER = 44
_IP = struct.Struct(">BBHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")
_NO_ADDRESS = bytes(4)
_NO_ADDRESS_IPV6 = bytes(16)
_UDP = struct.Struct(">HHHH")
#: More-fragments bit and fragment offset; Don't Fragment is not part of it.
_FRAGMENT = 0x3FFF


class IPPacket(NamedTuple):
    """An IP packet. ``mac`` and ``ip`` are the sender's; ``ip`` is None if it has none. ``header``
    is the IP header, without IPv6's extensions. ``data`` is what follows all headers."""

    mac: str
    ip: str | None
    protocol: int
    header: bytes
    data: bytes

    @property
    def to(self) -> bytes:
        """Return the address that it was sent to."""
        return self.header[24:40] if self.header[0] >> 4 == 6 else self.header[16:20]


class Datagram(NamedTuple):
    """The contents of a UDP packet, and the ports it was sent to and from."""

    port: int
    data: bytes
    sender_port: int


def parse_ethernet(frame: bytes) -> IPPacket | Drop:
    """Return the IP packet in an Ethernet frame with up to two VLAN tags, or why it is dropped.

    The IP header's length decides where the data ends, because Ethernet pads short frames.
    """
    start = 14
    parse = _PARSERS.get(frame[12:14])
    while parse is None and frame[start - 2 : start] in _TYPES_VLAN and start < 22:
        start += 4
        parse = _PARSERS.get(frame[start - 2 : start])
    if parse is None:
        return Drop.NOT_OURS if len(frame) >= start + _IP.size else Drop.SHORT
    return parse(frame, start)


def _ipv4(frame: bytes, start: int) -> IPPacket | Drop:
    if len(frame) < start + _IP.size:
        return Drop.SHORT
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
    return IPPacket(frame[6:12].hex(":"), ip, protocol, frame[start:end], frame[end : start + total])


def _ipv6(frame: bytes, start: int) -> IPPacket | Drop:
    at = start + _IPV6.size
    if len(frame) < at:
        return Drop.SHORT
    version, length, protocol, _, source, _ = _IPV6.unpack_from(frame, start)
    end = at + length
    if version >> 28 != 6:
        return Drop.NOT_OURS
    if len(frame) < end:
        return Drop.TRUNCATED
    for _ in range(MOST_EXTENSIONS):
        if protocol not in EXTENSIONS:
            break
        if end < at + 8:
            return Drop.SHORT
        protocol, at = frame[at], at + 8 + 8 * frame[at + 1]
    if protocol == _FRAGMENT_HEADER:
        return Drop.FRAGMENT
    if protocol != PROTOCOL_UDP:
        return Drop.NOT_OURS
    ip = inet_ntop(AF_INET6, source) if source != _NO_ADDRESS_IPV6 else None
    return IPPacket(frame[6:12].hex(":"), ip, protocol, frame[start : start + _IPV6.size], frame[at:end])


_PARSERS = {
    ETHERTYPE_IP.to_bytes(2, "big"): _ipv4,
    ETHERTYPE_IPV6.to_bytes(2, "big"): _ipv6,
}


def parse_udp(packet: IPPacket, checked: bool = False) -> Datagram | Drop:
    """Return the datagram in a UDP packet, or why it is dropped.

    On IPv4 the checksum is not looked at: panicast sends none. On IPv6 it must be right, unless
    ``checked``: then the kernel answers for it. A datagram between two programs of one host has
    none yet.
    """
    data = packet.data
    if len(data) < _UDP.size:
        return Drop.SHORT
    sender_port, port, length, checksum = _UDP.unpack_from(data)
    if length < _UDP.size:
        return Drop.SHORT
    if length > len(data):
        return Drop.TRUNCATED
    if packet.header[0] >> 4 == 6 and not checked and not (checksum and _fits(packet, length)):
        return Drop.UDP_CHECKSUM
    return Datagram(port, data[_UDP.size : length], sender_port)


def _fits(packet: IPPacket, length: int) -> bool:
    """Tell whether the checksum over addresses, length, protocol and datagram is right."""
    summed = packet.header[8:] + length.to_bytes(4, "big") + PROTOCOL_UDP.to_bytes(4, "big")
    summed += packet.data[:length] + bytes(length & 1)
    return adds_up(summed)


def adds_up(data: bytes) -> bool:
    """Tell whether an even number of bytes, not all zero, has the right sum with the Internet
    checksum that is among them (RFC 1071)."""
    # In ones' complement each 16 bits count alike, wherever they stand, and 0xFFFF is zero.
    return int.from_bytes(data, "big") % 0xFFFF == 0
