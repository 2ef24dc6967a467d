# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 in Ethernet frames that another program made: what is in them, and each way to be wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.wire.ethernet import MOST_EXTENSIONS, Datagram, parse_ethernet, parse_udp
from panicast_receiver.wire.v1 import Drop

from ..ipv6 import FRAGMENT, HOP_BY_HOP, MAC, OPTIONS, ROUTING, SENDER, ipv6_frame

#: An extension header of 8 bytes and one of 24, without the byte that names the next.
SHORT, LONG = b"\0\1\4" + bytes(4), b"\2" + bytes(22)
UDP_AT = 14 + 40


def datagram(frame, checked=False):
    """What becomes of a frame."""
    packet = parse_ethernet(frame)
    return packet if isinstance(packet, Drop) else parse_udp(packet, checked)


@given(st.binary(max_size=1400), st.integers(1, 65535), st.integers(0, 2))
def test_a_datagram_comes_out_as_it_went_in(payload, port, tags):
    frame = ipv6_frame(payload, port, tags=bytes.fromhex("81000064") * tags, tail=b"\xee" * 9)
    packet = parse_ethernet(frame)
    assert (packet.mac, packet.ip) == (MAC.hex(":"), SENDER)
    assert parse_udp(packet) == Datagram(port, payload, 6665)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_wrong_bit_is_noticed(payload, data):
    """In addresses, ports, the checksum and the payload, which ones' complement tells of any single bit."""
    frame = bytearray(ipv6_frame(payload))
    at = data.draw(st.sampled_from([*range(14 + 8, UDP_AT + 4), *range(UDP_AT + 6, len(frame))]))
    frame[at] ^= 1 << data.draw(st.integers(0, 7))
    assert datagram(bytes(frame)) is Drop.UDP_CHECKSUM
    assert isinstance(datagram(bytes(frame), checked=True), Datagram)


def test_a_datagram_without_a_checksum_is_dropped():
    frame = ipv6_frame(b"x")
    assert datagram(frame[: UDP_AT + 6] + bytes(2) + frame[UDP_AT + 8 :]) is Drop.UDP_CHECKSUM


def test_a_checksum_that_comes_out_as_zero_is_sent_as_ffff():
    first = int.from_bytes(ipv6_frame(bytes(2))[UDP_AT + 6 : UDP_AT + 8], "big")
    payload = first.to_bytes(2, "big")
    frame = ipv6_frame(payload)
    # dpkt leaves it.
    assert frame[UDP_AT + 6 : UDP_AT + 8] == bytes(2)
    assert datagram(frame[: UDP_AT + 6] + b"\xff\xff" + frame[UDP_AT + 8 :]) == Datagram(6664, payload, 6665)


def test_a_sender_without_an_address():
    assert parse_ethernet(ipv6_frame(b"x", sender="::")).ip is None


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ([(HOP_BY_HOP, SHORT)], Datagram),
        ([(HOP_BY_HOP, SHORT), (ROUTING, LONG), (OPTIONS, SHORT)], Datagram),
        ([(OPTIONS, SHORT)] * MOST_EXTENSIONS, Datagram),
        ([(OPTIONS, SHORT)] * (MOST_EXTENSIONS + 1), Drop.NOT_OURS),
        ([(FRAGMENT, bytes(7))], Drop.FRAGMENT),
        ([(HOP_BY_HOP, SHORT), (FRAGMENT, bytes(7))], Drop.FRAGMENT),
        # ESP, no next header, TCP.
        ([(50, SHORT)], Drop.NOT_OURS),
        ([(59, SHORT)], Drop.NOT_OURS),
        ([(6, SHORT)], Drop.NOT_OURS),
        # Longer than the packet.
        ([(OPTIONS, b"\xff" + bytes(6))], Drop.SHORT),
    ],
)
def test_extension_headers(extensions, expected):
    found = datagram(ipv6_frame(b"text", extensions=extensions))
    assert found == (Datagram(6664, b"text", 6665) if expected is Datagram else expected)


def test_every_frame_that_is_cut_short_is_dropped():
    frame = ipv6_frame(b"text", extensions=[(HOP_BY_HOP, SHORT)])
    for length in range(len(frame)):
        assert datagram(frame[:length]) in (Drop.SHORT, Drop.TRUNCATED)


@pytest.mark.parametrize("length", [0, 7, 13, 0xFFFF])
def test_a_udp_length_that_lies(length):
    frame = ipv6_frame(b"text")
    lying = frame[: UDP_AT + 4] + length.to_bytes(2, "big") + frame[UDP_AT + 6 :]
    assert datagram(lying) in (Drop.SHORT, Drop.TRUNCATED)


def test_another_version_is_none_of_ours():
    frame = ipv6_frame(b"text")
    assert datagram(frame[:14] + b"\x40" + frame[15:]) is Drop.NOT_OURS
