# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the filters that the kernel runs on each frame of a packet socket: classic BPF,
<linux/filter.h>. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from ..wire.ethernet import (
    ETHERTYPE_IP,
    ETHERTYPE_IPV6,
    EXTENSIONS,
    MOST_EXTENSIONS,
    PROTOCOL_UDP,
    TYPES_VLAN,
)
from ..wire.raw import IP_PROTOCOL

Program = Sequence[tuple[int, int, int, int]]

# Load at an offset (word, half, byte), at X and an offset, the frame's length; X = 4 * (byte & 15).
_LD, _LDH, _LDB, _LDH_X, _LEN, _MSH = 0x20, 0x28, 0x30, 0x48, 0x80, 0xB1
# A += k, A += X, X = A, A = X; compare A with k, its bits with k, A with X; return k, return A.
_ADD, _ADD_X, _TAX, _TXA, _JEQ, _JSET, _JGE_X, _RET, _RET_A = (
    0x04,
    0x0C,
    0x07,
    0x87,
    0x15,
    0x45,
    0x3D,
    0x06,
    0x16,
)
# X = k, A = byte at X and an offset, M[k] = A, A = M[k], A <<= k.
_LDX, _LDB_X, _ST, _LD_MEM, _LSH = 0x01, 0x50, 0x02, 0x60, 0x64
#: Advance X by the length of the extension header (8 bytes and what it says), and load what was
#: stored into A.
_NEXT_HEADER = ((_LDB_X, 1), (_ADD, 1), (_LSH, 3), (_ADD_X, 0), (_TAX, 0), (_LD_MEM, 0))
_ALL = 0xFFFFFFFF
#: Ethernet, IP and UDP header: all that is captured of a datagram that is shorter than it says.
_HEADERS = 14 + 20 + 8

NOTHING: Program = ((_RET, 0, 0, 0),)

#: SKF_AD_OFF + SKF_AD_IFINDEX: where a load finds the index of the interface that a packet came in by.
_INTERFACE_AT = 0xFFFFF000 + 8


def from_interfaces(indexes: Sequence[int]) -> Program:
    """Return a program that passes what came in by one of these interfaces, by their indexes."""
    last = len(indexes)
    matches = [(_JEQ, last - number, 0, index) for number, index in enumerate(indexes)]
    return [(_LD, 0, 0, _INTERFACE_AT), *matches, (_RET, 0, 0, 0), (_RET, 0, 0, _ALL)]


#: A label, an opcode, its constant; and for a jump where to go if true and if false ("": the next
#: line).
_Line = tuple[str, int, int, str, str]


def programs_for(address: str, ports: Sequence[int], raw: bool) -> dict[int, Program]:
    """Return a program for each Ethernet type to receive: {type: program}. ``::`` includes IPv4, as
    for a socket."""
    host = ipaddress.ip_address(address)
    found = {}
    if isinstance(host, ipaddress.IPv4Address) or not int(host):
        found[ETHERTYPE_IP] = ipv4_frames_for(address if host.version == 4 else "0.0.0.0", ports, raw)
    if isinstance(host, ipaddress.IPv6Address):
        found[ETHERTYPE_IPV6] = ipv6_frames_for(address, ports)
    return found


def ipv6_frames_for(address: str, ports: Sequence[int]) -> Program:
    """Return a program that passes IPv6 UDP to ``ports`` of ``address``, also behind extension
    headers. ``::`` stands for any address."""
    host = ipaddress.IPv6Address(address.partition("%")[0]).packed
    lines: list[_Line] = [
        *_load_and_match(12, {ETHERTYPE_IPV6: "ip", **dict.fromkeys(TYPES_VLAN, "tagged")}, "drop"),
        *_labelled("tagged", [("", _LDH, 16, "", ""), ("", _JEQ, ETHERTYPE_IPV6, "", "drop")]),
        *_match_ipv6(18, host, ports),
        *_labelled("ip", _match_ipv6(14, host, ports)),
        ("all", _RET, _ALL, "", ""),
        ("drop", _RET, 0, "", ""),
    ]
    return _assemble(lines)


def _match_ipv6(start: int, host: bytes, ports: Sequence[int]) -> list[_Line]:
    """Return the lines for an IPv6 packet that begins at ``start``.

    X goes from header to header, A holds the kind of the next one.
    """
    address: list[_Line] = []
    for at in range(0, 16, 4):
        word = int.from_bytes(host[at : at + 4], "big")
        address += [("", _LD, start + 24 + at, "", ""), ("", _JEQ, word, "", "drop")]
    udp = f"udp {start}"
    lines: list[_Line] = [
        *(address if any(host) else []),
        ("", _LDB, start + 6, "", ""),
        ("", _LDX, start + 40, "", ""),
    ]
    for number in range(MOST_EXTENSIONS):
        step = f"extension {start} {number}"
        last = len(EXTENSIONS) - 1
        lines += [
            ("", _JEQ, PROTOCOL_UDP, udp, ""),
            *(("", _JEQ, kind, step, "drop" if n == last else "") for n, kind in enumerate(EXTENSIONS)),
            *_labelled(step, [("", _LDB_X, 0, "", ""), ("", _ST, 0, "", "")]),
            *[("", code, value, "", "") for code, value in _NEXT_HEADER],
        ]
    return [
        *lines,
        ("", _JEQ, PROTOCOL_UDP, "", "drop"),
        (udp, _LDH_X, 2, "", ""),
        *(("", _JEQ, port, "all", "drop" if n == len(ports) - 1 else "") for n, port in enumerate(ports)),
    ]


def ipv4_frames_for(address: str, ports: Sequence[int], raw: bool) -> Program:
    """Return a program that passes IPv4 UDP to ``ports`` of ``address``, and raw frames if ``raw``.
    0.0.0.0 stands for any address.

    A frame without a VLAN tag whose UDP length is consistent is cut where the datagram ends, so
    that its captured length tells its payload's. All other frames that may be ours pass as they
    are, also those with a tag or a wrong length: the decoder looks at them and counts them.
    """
    host = int(ipaddress.IPv4Address(address))
    lines: list[_Line] = [
        *_load_and_match(12, {ETHERTYPE_IP: "ip", **dict.fromkeys(TYPES_VLAN, "tagged")}, "drop"),
        *_labelled("tagged", [("", _LDH, 16, "", ""), ("", _JEQ, ETHERTYPE_IP, "", "drop")]),
        *_match_ip(18, host, ports, raw, "all"),
        *_labelled("ip", _match_ip(14, host, ports, raw, "cut")),
        *_labelled("cut", [("", _LDH_X, 14 + 4, "", ""), ("", _ADD_X, 0, "", ""), ("", _ADD, 14, "", "")]),
        ("", _TAX, 0, "", ""),
        ("", _LEN, 0, "", ""),
        ("", _JGE_X, 0, "", "short"),
        ("", _TXA, 0, "", ""),
        ("", _RET_A, 0, "", ""),
        ("short", _RET, _HEADERS, "", ""),
        ("all", _RET, _ALL, "", ""),
        ("drop", _RET, 0, "", ""),
    ]
    return _assemble(lines)


def _load_and_match(offset: int, labels: dict[int, str], otherwise: str) -> list[_Line]:
    lines: list[_Line] = [("", _LDH, offset, "", "")]
    lines += [("", _JEQ, value, label, "") for value, label in labels.items()]
    last = lines[-1]
    return [*lines[:-1], (*last[:4], otherwise)]


def _labelled(label: str, lines: list[_Line]) -> list[_Line]:
    return [(label, *lines[0][1:]), *lines[1:]]


def _match_ip(start: int, host: int, ports: Sequence[int], raw: bool, found: str) -> list[_Line]:
    """Return the lines for an IPv4 packet that begins at ``start``; they leave its header's length
    in X."""
    address: list[_Line] = [("", _LD, start + 16, "", ""), ("", _JEQ, host, "", "drop")]
    last = len(ports) - 1
    return [
        ("", _LDB, start + 9, "", ""),
        *([("", _JEQ, IP_PROTOCOL, "all", "")] if raw else []),
        ("", _JEQ, PROTOCOL_UDP, "", "drop"),
        ("", _LDH, start + 6, "", ""),
        ("", _JSET, 0x1FFF, "drop", ""),
        *(address if host else []),
        ("", _MSH, start, "", ""),
        ("", _LDH_X, start + 2, "", ""),
        *(("", _JEQ, port, found, "drop" if n == last else "") for n, port in enumerate(ports)),
    ]


def _assemble(lines: Sequence[_Line]) -> Program:
    at = {label: number for number, (label, *_) in enumerate(lines) if label}

    def distance(number: int, label: str) -> int:
        return at[label] - number - 1 if label else 0

    return [
        (code, distance(number, true), distance(number, false), constant)
        for number, (_, code, constant, true, false) in enumerate(lines)
    ]
