# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures datagrams by a UDP socket: needs no privilege, sees no raw frame."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence

from ..assembly.intake import Intake, Packet
from ..errors import ReceiverError
from ..records.record import Instant, Record, Source, reply_to
from ..settings.kinds import address_and_port
from . import Read, attach_filter, grow_receive_buffer, interface_index, interface_name
from .bpf import NOTHING, from_interfaces
from .holder import holders

# Linux values; the socket module of Python 3.9 lacks them.
_IP_PKTINFO = 8
_SO_RXQ_OVFL = 40
#: The offset of the interface's index in a packet's control message: struct in_pktinfo,
#: in6_pktinfo.
_INDEX_AT = {(socket.IPPROTO_IP, _IP_PKTINFO): 0, (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO): 16}
#: The slice of the packet's destination address there.
_TO = {
    (socket.IPPROTO_IP, _IP_PKTINFO): slice(8, 12),
    (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO): slice(0, 16),
}
#: How an IPv4 address begins on an IPv6 socket.
_MAPPED, _MAPPED_BYTES = "::ffff:", bytes(10) + b"\xff\xff"
_NONE = ("0.0.0.0", "::")
_MAX_DATAGRAM = 65536
#: Datagrams read at a time before the clock and the other captures get their turn.
_BATCH = 256


class UdpCapture:
    """Listens on ``address`` and ``port``. ``::`` includes IPv4, and means only IPv4 if the kernel
    has no IPv6.

    ``interfaces`` accepts only what came in by one of them. A filter does that, because only a
    privileged program may bind to an interface again that went and came back. Raises ReceiverError
    if the address or port cannot be used.
    """

    way = "udp"

    def __init__(self, address: str, port: int, interfaces: Sequence[str], buffer_bytes: int) -> None:
        sock, address = _socket_for(address)
        self._sock = sock
        self._interfaces, self._indexes = interfaces, list[int]()
        self._lost = 0
        self._buffer = bytearray(_MAX_DATAGRAM)
        try:
            # No SO_BROADCAST: broadcasts are heard without it, and no forged address makes us send one.
            # No SO_REUSEADDR: with it any user of this machine could bind beside us and take the records.
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            self.refresh()
            self.buffer_bytes = grow_receive_buffer(sock, buffer_bytes)
            sock.bind(_place(address, port))
        except OSError as error:
            sock.close()
            what = _taken(port) if error.errno == errno.EADDRINUSE else error.strerror
            first = "end it, or " if error.errno == errno.EADDRINUSE else ""
            raise ReceiverError(
                f"cannot listen on {address_and_port(address, port)}: {what}; {first}choose another with "
                "--listen ADDR:PORT"
            ) from error
        sock.setblocking(False)
        self.port = int(sock.getsockname()[1])
        where = f" on {', '.join(interfaces)}" if interfaces else ""
        self.name = f"UDP {address_and_port(address, self.port)}{where}"

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
        """Keep the port but hear nothing: no other program can take it, and no sender is told that
        it is unreachable."""
        attach_filter(self._sock, NOTHING)

    def read(self, intake: Intake, now: Instant) -> Read:
        """See Capture."""
        packets, records = 0, list[Record]()
        while packets < _BATCH:
            try:
                size, ancillary, _, (ip, sender_port, *_) = self._sock.recvmsg_into([self._buffer], 128)
            except BlockingIOError:
                break
            iface, to = None, b""
            for level, kind, data in ancillary:
                if (level, kind) in _INDEX_AT:
                    iface = interface_name(struct.unpack_from("i", data, _INDEX_AT[level, kind])[0])
                    to = data[_TO[level, kind]]
                elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                    self._lost = struct.unpack("I", data)[0]
            ip = ip[len(_MAPPED) :] if ip.startswith(_MAPPED) else ip
            data = bytes(self._buffer[:size])
            reply = reply_to(data, sender_port, to.removeprefix(_MAPPED_BYTES))
            source = Source(None, None if ip in _NONE else ip, iface, reply)
            records += intake.feed(Packet(data, source, port=self.port), now)
            packets += 1
        return Read(packets, records)

    def answer(self, data: bytes, source: Source, port: int, own: bytes) -> None:
        """Send a datagram to where another came from, from our ``own`` address, or from the one that routing
        chooses if that is empty. Raises OSError, also if ``own`` is no address of this machine."""
        ip = source.ip or ""
        if ":" not in ip:
            info = struct.pack("=i4s4s", 0, own or bytes(4), bytes(4))
            control = (socket.IPPROTO_IP, _IP_PKTINFO, info)
            place: tuple[object, ...] = (ip, port)
            if self._sock.family == socket.AF_INET6:
                place = (_MAPPED + ip, port)
        else:
            # A link-local address means something on its link alone.
            index = interface_index(source.iface) if source.iface and ip.startswith("fe80:") else 0
            control = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16si", own or bytes(16), 0))
            place = (ip, port, 0, index)
        self._sock.sendmsg([data], [control], socket.MSG_DONTWAIT, place)

    def lost(self) -> int:
        """See Capture. Known as of the last packet read."""
        return self._lost

    def close(self) -> None:
        """See Capture."""
        self._sock.close()


def _socket_for(address: str) -> tuple[socket.socket, str]:
    """Return a socket, and the address to bind it to."""
    if ":" not in address:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM), address
    try:
        return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), address
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
    if address != "::":
        raise ReceiverError(
            f"cannot listen on {address}: this kernel has no IPv6; name an IPv4 address with --listen "
            "ADDR:PORT"
        )
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "0.0.0.0"


def _place(address: str, port: int) -> tuple[object, ...]:
    """Return what ``bind`` wants; a link-local address includes its interface."""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=flags)[0][4]


def _taken(port: int) -> str:
    names = holders(port)
    return f"the port is taken by {', '.join(names)}" if names else "another program has the port"
