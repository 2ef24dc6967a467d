# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures packets. Each capture has a file descriptor to wait on and knows no formats."""

from __future__ import annotations

import array
import socket
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from ..assembly.intake import Intake
from ..records.record import Instant, Record

_SO_ATTACH_FILTER = 26


class Read(NamedTuple):
    """What one read brought: the number of packets, the records that they completed, and how many
    seconds to wait before the next read, so that packets gather."""

    packets: int
    records: list[Record]
    rest_s: float = 0.0


class Capture(Protocol):
    """One source of packets, readable without blocking."""

    name: str
    #: ring or udp.
    way: str

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when packets wait."""

    def read(self, intake: Intake, now: Instant) -> Read:
        """Feed some of the waiting packets to ``intake``. Raises OSError if the interface fails."""

    def lost(self) -> int:
        """Return how many packets the kernel dropped since the start because this capture's buffer
        was full."""

    def refresh(self) -> None:
        """Find an interface again that was gone. Called now and then."""

    def close(self) -> None:
        """Close the socket."""


@lru_cache(maxsize=256)
def interface_name(index: int) -> str | None:
    """Return the name of the interface with this index; None if it is gone. The kernel does not
    reuse indexes."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None


def interface_index(name: str) -> int:
    """Return the index of the interface with this name; 0 if there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def grow_receive_buffer(sock: socket.socket, wanted: int) -> int:
    """Ask for ``wanted`` bytes of receive buffer; return what the kernel granted.

    Only CAP_NET_ADMIN may exceed net.core.rmem_max. The kernel doubles the request for its
    bookkeeping and reports the doubled value.
    """
    so_rcvbufforce = 33
    try:
        sock.setsockopt(socket.SOL_SOCKET, so_rcvbufforce, wanted)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def attach_filter(sock: socket.socket, program: Sequence[tuple[int, int, int, int]]) -> None:
    """Attach a classic BPF program to a socket, by a struct sock_fprog that points to it."""
    instructions = array.array("B", b"".join(struct.pack("HBBI", *line) for line in program))
    address, _ = instructions.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), address))
