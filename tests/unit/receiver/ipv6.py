# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of IPv6, made by dpkt: it knows nothing of our parser, and makes the checksum itself."""

import socket

import dpkt

MAC = bytes.fromhex("525400123456")
SENDER, RECEIVER = "2001:db8::7", "2001:db8::1"
#: Numbers of extension headers.
HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS = 0, 43, 44, 60


def packed(address):
    """An address as it is on the wire."""
    return socket.inet_pton(socket.AF_INET6, address)


def ipv6_frame(payload, port=6664, sender=SENDER, to=RECEIVER, extensions=(), tags=b"", tail=b""):
    """An Ethernet frame with a datagram; ``extensions``: kinds and bytes of headers before UDP."""
    udp = dpkt.udp.UDP(sport=6665, dport=port, data=payload, ulen=8 + len(payload))
    packet = dpkt.ip6.IP6(src=packed(sender), dst=packed(to), nxt=17, p=17, plen=udp.ulen, hlim=64, data=udp)
    whole = bytes(packet)
    kinds = [kind for kind, _ in extensions] + [17]
    headers = b"".join(bytes([kind]) + data for kind, (_, data) in zip(kinds[1:], extensions))
    # The headers are no part of what the checksum is made of.
    length = (len(headers) + len(whole) - 40).to_bytes(2, "big")
    whole = whole[:4] + length + bytes([kinds[0]]) + whole[7:40] + headers + whole[40:]
    ethernet = dpkt.ethernet.Ethernet(dst=b"\x33\x33\0\0\0\1", src=MAC, type=0x86DD, data=b"")
    head = bytes(ethernet)
    return head[:12] + tags + head[12:] + whole + tail
