# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw frames from a packet socket with a filter in the kernel; needs CAP_NET_RAW.

Raw frames carry IP protocol 255 and often IP checksum 0, so the IP stack throws them away before any
ordinary socket. The filter leaves UDP to the UDP socket: nothing is copied to us twice.
"""

from __future__ import annotations

import array
import socket
import struct

from ..errors import ReceiverError
from ..intake import Packet
from ..rawframe import ETHERTYPE_IP, IP_PROTOCOL
from ..record import Source
from . import grow_receive_buffer

_SO_ATTACH_FILTER = 26
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_MAX_FRAME = 65536

# Classic BPF, <linux/filter.h>: load half word, load byte, jump if equal, return.
_LDH, _LDB, _JEQ, _RET = 0x28, 0x30, 0x15, 0x06
#: (code, jump if true, jump if false, constant). One VLAN tag may still be in the frame.
RAW_FILTER: tuple[tuple[int, int, int, int], ...] = (
    (_LDH, 0, 0, 12),
    (_JEQ, 0, 2, ETHERTYPE_IP),
    (_LDB, 0, 0, 14 + 9),
    (_JEQ, 6, 7, IP_PROTOCOL),
    (_JEQ, 1, 0, 0x8100),
    (_JEQ, 0, 5, 0x88A8),
    (_LDH, 0, 0, 16),
    (_JEQ, 0, 3, ETHERTYPE_IP),
    (_LDB, 0, 0, 18 + 9),
    (_JEQ, 0, 1, IP_PROTOCOL),
    (_RET, 0, 0, 0xFFFFFFFF),
    (_RET, 0, 0, 0),
)

NOTHING = ((_RET, 0, 0, 0),)


class PacketCapture:
    """Hears raw frames on ``interface``, or on every one when it is empty.

    Raises PermissionError without CAP_NET_RAW, ReceiverError when the interface cannot be had.
    """

    def __init__(self, interface: str, buffer_bytes: int) -> None:
        self.name = f"raw frames on {interface or 'every interface'}"
        self._lost = 0
        # Python cannot bind to "every interface", so the socket hears from its making on. A filter that
        # passes nothing goes in first, what slipped in before it is read away, then the real one.
        self._sock = sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_IP))
        sock.setblocking(False)
        try:
            _attach(sock, NOTHING)
            while self.read(1):
                pass
            if interface:
                sock.bind((interface, ETHERTYPE_IP))
            grow_receive_buffer(sock, buffer_bytes)
            _attach(sock, RAW_FILTER)
        except OSError as error:
            sock.close()
            raise ReceiverError(
                f"cannot hear raw frames on {interface or 'any interface'}: {error.strerror}; "
                "name an interface with --interface NAME, or give --no-raw-frames"
            ) from error

    def fileno(self) -> int:
        """See Capture."""
        return self._sock.fileno()

    def read(self, limit: int) -> list[Packet]:
        """See Capture."""
        packets: list[Packet] = []
        while len(packets) < limit:
            try:
                data, address = self._sock.recvfrom(_MAX_FRAME)
            except BlockingIOError:
                break
            packets.append(Packet(data, Source(iface=address[0]), ethernet=True))
        return packets

    def lost(self) -> int:
        """See Capture. Reading the kernel's counter clears it, so the sum is kept here."""
        statistics = self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._lost += struct.unpack("II", statistics)[1]
        return self._lost

    def close(self) -> None:
        """See Capture."""
        self._sock.close()


def _attach(sock: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    """Give the kernel a struct sock_fprog that points to the program."""
    instructions = array.array("B", b"".join(struct.pack("HBBI", *line) for line in program))
    address, _ = instructions.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), address))
