# SPDX-License-Identifier: GPL-2.0-or-later
"""Where packets come from. Each capture has a file descriptor to wait on and knows nothing of formats."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Protocol

from ..intake import Packet


class Capture(Protocol):
    """One source of packets, readable without blocking."""

    name: str

    def fileno(self) -> int:
        """The descriptor that becomes readable when packets wait."""

    def read(self, limit: int) -> list[Packet]:
        """Up to ``limit`` packets, fewer when no more wait; raises OSError when the interface fails."""

    def lost(self) -> int:
        """Packets the kernel dropped since the start because this capture's buffer was full."""

    def close(self) -> None:
        """Give the socket back."""


@lru_cache(maxsize=256)
def interface_name(index: int) -> str | None:
    """Name of the interface with this index, None when it is gone. The kernel does not reuse indexes."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None


def grow_receive_buffer(sock: socket.socket, wanted: int) -> int:
    """Ask for ``wanted`` bytes of receive buffer; returns what the kernel granted.

    Only CAP_NET_ADMIN may exceed net.core.rmem_max. The kernel doubles the request for its
    bookkeeping and reports the doubled value.
    """
    so_rcvbufforce = 33
    try:
        sock.setsockopt(socket.SOL_SOCKET, so_rcvbufforce, wanted)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
