# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams from a UDP socket: needs no privilege, sees no raw frame."""

from __future__ import annotations

import errno
import socket
import struct

from ..assembly.intake import Intake, Packet
from ..errors import ReceiverError
from ..records.record import Instant, Record, Source
from . import OnInterface, Read, attach_filter, grow_receive_buffer, interface_name
from .bpf import NOTHING
from .holder import holders

# Linux values; the socket module of Python 3.9 lacks them.
_IP_PKTINFO = 8
_SO_RXQ_OVFL = 40
_MAX_DATAGRAM = 65536
#: Datagrams read at a time before the clock and the other captures get their turn.
_BATCH = 256


class UdpCapture(OnInterface):
    """Listens on ``address``:``port``; ``interface`` narrows it to one interface, empty hears all.

    Raises ReceiverError when the address, port or interface cannot be had.
    """

    way = "udp"

    def __init__(self, address: str, port: int, interface: str, buffer_bytes: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        super().__init__(f"UDP {address}:{port}", interface, sock)
        self._lost = 0
        self._buffer = bytearray(_MAX_DATAGRAM)
        try:
            # No SO_REUSEADDR: with it any user of this machine could bind beside us and take the records.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            if interface:
                self._narrow()
            self.buffer_bytes = grow_receive_buffer(sock, buffer_bytes)
            sock.bind((address, port))
        except OSError as error:
            sock.close()
            where = f"{address}:{port}" + (f" on {interface}" if interface else "")
            if error.errno == errno.EADDRINUSE:
                raise ReceiverError(
                    f"cannot listen on {where}: {_taken(port)}; end it, or choose another with --listen "
                    "ADDR:PORT"
                ) from error
            raise ReceiverError(
                f"cannot listen on {where}: {error.strerror}; choose another with --listen "
                "ADDR:PORT or --interface NAME"
            ) from error
        sock.setblocking(False)
        self.port = int(sock.getsockname()[1])
        self.name = "UDP {}:{}".format(*sock.getsockname()) + (f" on {interface}" if interface else "")

    def hold(self) -> None:
        """Keep the port, so that no other takes it and nobody is told it is unreachable, but hear nothing."""
        attach_filter(self._sock, NOTHING)

    def read(self, intake: Intake, now: Instant) -> Read:
        """See Capture."""
        packets, records = 0, list[Record]()
        while packets < _BATCH:
            try:
                size, ancillary, _, (ip, _port) = self._sock.recvmsg_into([self._buffer], 128)
            except BlockingIOError:
                break
            iface = None
            for level, kind, data in ancillary:
                if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                    iface = interface_name(struct.unpack_from("i", data)[0])
                elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                    self._lost = struct.unpack("I", data)[0]
            source = Source(ip=None if ip == "0.0.0.0" else ip, iface=iface)
            records += intake.feed(Packet(bytes(self._buffer[:size]), source, port=self.port), now)
            packets += 1
        return Read(packets, records)

    def lost(self) -> int:
        """See Capture. Known as of the last packet read."""
        return self._lost

    def _bind(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode() + b"\0")

    def close(self) -> None:
        """See Capture."""
        self._sock.close()


def _taken(port: int) -> str:
    names = holders(port)
    return f"the port is taken by {', '.join(names)}" if names else "another program has the port"
