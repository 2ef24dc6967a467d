# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds out who holds a UDP port. The kernel names the socket and its user; /proc names the
program, if we may read that."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

#: The tables of IPv4 and IPv6: an IPv6 socket may hold the port of both. They are below self,
#: because a unit with ProcSubset=pid sees only processes in /proc.
_TABLES = ("self/net/udp", "self/net/udp6")
_PROC = Path("/proc")


def holders(port: int) -> list[str]:
    """Return who holds this port, each in a few words: ``netconsd (process 812, user root)``."""
    found = dict(_sockets(port))
    programs = _programs(set(found)) if found else {}
    return sorted({_words(programs.get(inode), user) for inode, user in found.items()})


def _sockets(port: int) -> Iterator[tuple[str, int]]:
    """Yield the inode and the user id of each socket on the port."""
    wanted = f":{port:04X}"
    for name in _TABLES:
        try:
            lines = (_PROC / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for columns in map(str.split, lines):
            if columns[1].endswith(wanted):
                yield columns[9], int(columns[7])


def _programs(inodes: set[str]) -> dict[str, tuple[str, str]]:
    """Return the process id and name of the program that has each of these sockets, {inode: (pid,
    name)}, as far as we may read that."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, tuple[str, str]] = {}
    for process in _PROC.glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                if inode := links.get(str(descriptor.readlink())):
                    found.setdefault(inode, (process.name, (process / "comm").read_text().strip()))
        except OSError:
            # It ended, or belongs to somebody else.
            continue
    return found


def _words(program: tuple[str, str] | None, user: int) -> str:
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    return f"{program[1]} (process {program[0]}, user {name})" if program else f"a program of user {name}"
