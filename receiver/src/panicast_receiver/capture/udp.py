# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams from a UDP socket: needs no privilege, sees no raw frame."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence

from ..assembly.intake import Intake, Packet
from ..errors import ReceiverError
from ..records.record import Instant, Record, Source
from . import Read, attach_filter, grow_receive_buffer, interface_index, interface_name
from .bpf import NOTHING, from_interfaces
from .holder import holders

# Linux values; the socket module of Python 3.9 lacks them.
_IP_PKTINFO = 8
_SO_RXQ_OVFL = 40
_MAX_DATAGRAM = 65536
#: Datagrams read at a time before the clock and the other captures get their turn.
_BATCH = 256


class UdpCapture:
    """Listens on ``address``:``port``; ``interfaces`` narrow it to what comes in by one of them.

    They do so by a filter: an interface that went and came again is bound to by a privileged program alone.
    Raises ReceiverError when the address or port cannot be had.
    """

    way = "udp"

    def __init__(self, address: str, port: int, interfaces: Sequence[str], buffer_bytes: int) -> None:
        self._sock = sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._interfaces, self._indexes = interfaces, list[int]()
        self._lost = 0
        self._buffer = bytearray(_MAX_DATAGRAM)
        try:
            # No SO_REUSEADDR: with it any user of this machine could bind beside us and take the records.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            self.refresh()
            self.buffer_bytes = grow_receive_buffer(sock, buffer_bytes)
            sock.bind((address, port))
        except OSError as error:
            sock.close()
            what = _taken(port) if error.errno == errno.EADDRINUSE else error.strerror
            first = "end it, or " if error.errno == errno.EADDRINUSE else ""
            raise ReceiverError(
                f"cannot listen on {address}:{port}: {what}; {first}choose another with --listen ADDR:PORT"
            ) from error
        sock.setblocking(False)
        self.port = int(sock.getsockname()[1])
        where = f" on {', '.join(interfaces)}" if interfaces else ""
        self.name = "UDP {}:{}".format(*sock.getsockname()) + where

    def fileno(self) -> int:
        """See Capture."""
        return self._sock.fileno()

    def refresh(self) -> None:
        """See Capture."""
        indexes = [index for index in map(interface_index, self._interfaces) if index]
        if self._interfaces and indexes != self._indexes:
            attach_filter(self._sock, from_interfaces(indexes))
            self._indexes = indexes

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

    def close(self) -> None:
        """See Capture."""
        self._sock.close()


def _taken(port: int) -> str:
    names = holders(port)
    return f"the port is taken by {', '.join(names)}" if names else "another program has the port"
