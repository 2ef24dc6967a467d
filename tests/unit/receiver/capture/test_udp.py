# SPDX-License-Identifier: GPL-2.0-or-later
"""A UDP socket says how many datagrams the kernel had no room for."""

import socket
from contextlib import closing

from panicast_receiver.capture.udp import UdpCapture
from panicast_receiver.records.record import Instant

NOW = Instant(0.0, 0)


class Intake:
    """Takes all, and completes nothing."""

    def feed(self, packet, now):
        return []


def test_each_lost_datagram_is_counted_once():
    """The kernel says with each datagram how many were lost before it, since the beginning."""
    with (
        closing(UdpCapture("127.0.0.1", 0, (), 1)) as capture,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        sent = read = 0
        # The one datagram says what became of those before it.
        for number in (200, 1, 200, 1):
            for _ in range(number):
                sender.sendto(b"x" * 1000, ("127.0.0.1", capture.port))
            sent += number
            while packets := capture.read(Intake(), NOW).packets:
                read += packets
        assert read < sent
        assert capture.lost() == sent - read
