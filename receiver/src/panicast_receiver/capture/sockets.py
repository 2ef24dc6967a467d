# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes packet sockets, which needs CAP_NET_RAW, or takes those that systemd kept for us.

So ``serve`` needs no capability: the unit's first command has it, makes the sockets and leaves them
to systemd, which passes them to ``serve`` (sd_notify(3), FDSTORE; sd_listen_fds(3)).
"""

from __future__ import annotations

import errno
import os
import socket

import sdnotify

from ..errors import ReceiverError
from ..wire.ethernet import ETHERTYPE_IP, ETHERTYPE_IPV6
from . import attach_filter
from .bpf import NOTHING

#: What systemd calls the sockets, and how many it gets: two for each interface, for IPv4 and IPv6.
#: The unit repeats the number.
NAME, MOST = "packet", 32
_REMOVE = f"FDSTOREREMOVE=1\nFDNAME={NAME}".encode()
#: <systemd/sd-daemon.h>: the first descriptor that is passed on, and the variables that say so.
_FIRST = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
#: Seconds that systemd may take to confirm that it has them.
_PATIENCE_S = 20.0


def make(ethertype: int = ETHERTYPE_IP) -> socket.socket:
    """Return a packet socket that lets nothing in yet. Raises PermissionError without CAP_NET_RAW."""
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
    except OSError as error:
        # What a unit may not make (RestrictAddressFamilies=) its kernel seems not to have.
        if error.errno != errno.EAFNOSUPPORT:
            raise
        raise PermissionError(error.errno, error.strerror) from error
    # It hears from its making on.
    attach_filter(sock, NOTHING)
    return sock


def leave() -> int:
    """Make sockets and leave them to systemd; return the exit code. Raises ReceiverError.

    Returns when systemd has them: it cannot tell whose messages are if the process has ended.
    """
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        raise ReceiverError("sockets are made for systemd, by the receiver's unit; `serve` makes its own")
    try:
        made = [make(kind) for _ in range(MOST // 2) for kind in (ETHERTYPE_IP, ETHERTYPE_IPV6)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.connect("\0" + where[1:] if where[0] == "@" else where)
            # Of a start that ended before it took them, as with a wrong setting: there is no room for both.
            systemd.send(_REMOVE)
            descriptors = [sock.fileno() for sock in made]
            socket.send_fds(systemd, [f"FDSTORE=1\nFDNAME={NAME}".encode()], descriptors)
            _wait_until_taken(systemd)
    except OSError as error:
        raise ReceiverError(f"cannot leave packet sockets to systemd: {error.strerror or error}") from error
    return 0


def given() -> list[socket.socket]:
    """Return the sockets that systemd passed to this process; an empty list if it passed none.

    They are taken once: a ring stays in its socket, so the next start must get new ones.
    """
    pid, count, names = (os.environ.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for number, name in zip(range(_FIRST, _FIRST + int(count)), names.split(":")):
        os.set_inheritable(number, False)
        if name == NAME:
            found.append(socket.socket(fileno=number))
    if found:
        sdnotify.SystemdNotifier().notify(_REMOVE.decode())
    return found


def take(given: list[socket.socket], ethertype: int) -> socket.socket:
    """Return a socket of this Ethernet type: one removed from ``given``, or a new one from
    ``make``."""
    for sock in given:
        if sock.getsockname()[1] == ethertype:
            given.remove(sock)
            return sock
    return make(ethertype)


def _wait_until_taken(systemd: socket.socket) -> None:
    """Wait until systemd has read what was sent before: it then closes the pipe's end
    (sd_notify_barrier(3))."""
    reader, writer = socket.socketpair()
    with reader:
        with writer:
            socket.send_fds(systemd, [b"BARRIER=1"], [writer.fileno()])
        reader.settimeout(_PATIENCE_S)
        reader.recv(1)
