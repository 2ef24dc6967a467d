# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures frames of both formats by a packet socket's TPACKET_V3 ring.

The kernel writes frames into memory that we share with it and hands them over in blocks, without a
system call or a copy for each. It does so before the IP stack sees them. So frames arrive that a
UDP socket would not get: with IP checksum 0, from senders to whom no route leads back (rp_filter),
or blocked by a firewall.
"""

from __future__ import annotations

import errno
import mmap
import socket
import struct

from ..assembly.intake import Intake
from ..errors import ReceiverError
from ..log import logger
from ..records.record import Instant, Record
from ..wire.ethernet import ETHERTYPE_IP
from . import Read, attach_filter, interface_index, interface_name
from .bpf import Program

_SOL_PACKET = 263
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 5, 6, 10
_TPACKET_V3 = 2
_BLOCK = 1 << 20
_BLOCK_TIMEOUT_MS = 20
#: Blocks read at a time before the clock and the other captures get their turn.
_BLOCKS = 16
#: After a read of ``_MANY`` frames the next ones gather for ``_REST_S`` seconds, because waking for
#: each block costs a quarter of all time. In a small ring they gather for less, so that
#: ``_FASTEST`` bytes a second do not fill it.
_MANY, _REST_S, _FASTEST = 512, 0.08, 3 << 30
#: struct tpacket_block_desc: block_status, num_pkts, offset_to_first_pkt.
_DESCRIPTOR = struct.Struct("=8xIII")
_STATUS_AT, _OURS, _KERNELS = 8, 1, 0


class RingCapture:
    """Captures what ``program`` passes on ``interface`` ("": on every one), by a packet socket of
    one Ethernet type.

    ``sock`` must let nothing in yet. Raises ReceiverError if there is no such interface, or no
    ring.
    """

    way = "ring"

    def __init__(
        self,
        sock: socket.socket,
        interface: str,
        program: Program,
        ring_bytes: int,
    ) -> None:
        self.name = f"packet ring on {interface or 'every interface'}"
        self._sock, self._interface, self._index = sock, interface, 0
        #: The Ethernet type that the socket receives.
        self.ethertype: int = sock.getsockname()[1]
        self._lost = 0
        self._next = 0
        try:
            sock.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
            self.ring_bytes = self._make_ring(ring_bytes)
            self._ring = mmap.mmap(sock.fileno(), self.ring_bytes)
            self._rest_s = min(_REST_S, self.ring_bytes / _FASTEST)
            if interface:
                self._bind()
            attach_filter(sock, program)
        except OSError as error:
            sock.close()
            raise ReceiverError(
                f"cannot capture packets on {interface or 'any interface'}: {error.strerror}; "
                "name an interface with --interface NAME, or give --capture udp"
            ) from error

    def read(self, intake: Intake, now: Instant) -> Read:
        """See Capture."""
        packets, records, rest_s = 0, list[Record](), 0.0
        feed = intake.feed_block if self.ethertype == ETHERTYPE_IP else intake.feed_frames
        for _ in range(min(_BLOCKS, self._blocks)):
            base = self._next * _BLOCK
            status, frames, first = _DESCRIPTOR.unpack_from(self._ring, base)
            if not status & _OURS:
                if error := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(error, errno.errorcode.get(error, str(error)))
                rest_s = self._rest_s if packets >= _MANY else 0.0
                break
            try:
                records += feed(self._ring, base + first, frames, now, interface_name)
                packets += frames
            finally:
                struct.pack_into("=I", self._ring, base + _STATUS_AT, _KERNELS)
                self._next = (self._next + 1) % self._blocks
        return Read(packets, records, rest_s)

    def lost(self) -> int:
        """See Capture. Reading the kernel's counter clears it, so the sum is kept here."""
        statistics = self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 12)
        self._lost += struct.unpack("III", statistics)[1]
        return self._lost

    def close(self) -> None:
        """See Capture."""
        self._ring.close()
        self._sock.close()

    def fileno(self) -> int:
        """See Capture."""
        return self._sock.fileno()

    def refresh(self) -> None:
        """See Capture."""
        if self._interface and interface_index(self._interface) != self._index:
            try:
                self._bind()
                logger.info("%s: heard again", self.name)
            except OSError:
                self._index = 0

    def _bind(self) -> None:
        """Bind to the interface that has the name now: one that went and came back has another
        index."""
        self._sock.bind((self._interface, self.ethertype))
        self._index = interface_index(self._interface)

    def _make_ring(self, wanted: int) -> int:
        """Make a ring of at most ``wanted`` bytes, as large as memory allows; return its bytes."""
        self._blocks = max(2, wanted // _BLOCK)
        while True:
            request = (_BLOCK, self._blocks, 2048, _BLOCK // 2048 * self._blocks, _BLOCK_TIMEOUT_MS, 0, 0)
            try:
                self._sock.setsockopt(_SOL_PACKET, _PACKET_RX_RING, struct.pack("7I", *request))
                return self._blocks * _BLOCK
            except OSError as error:
                if error.errno != errno.ENOMEM or self._blocks == 2:
                    raise
                self._blocks = max(2, self._blocks // 2)
