# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes to the journal by its native protocol: a datagram of fields
(https://systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from ..text import escape
from . import PRIORITIES, Notice, too_long

SOCKET = "/run/systemd/journal/socket"
_FIELDS = ("id", "type", "host", "reason", "title", "signature", "release", "boot_id", "format")


class Journal:
    """Writes one entry for each record; its text stays in the database."""

    def __init__(self, path: str = SOCKET) -> None:
        self.name = "journal"
        self.most = 1
        self._path = path

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        for notice in batch:
            self._write(notice)

    def _write(self, notice: Notice) -> None:
        entry = b"".join(
            _field(name, value.encode("utf-8", "backslashreplace")) for name, value in fields(notice).items()
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, too_long():
            sock.sendto(entry, self._path)


def fields(notice: Notice) -> Mapping[str, str]:
    """Return the entry's fields, escaped, because some tools show them unescaped on a terminal."""
    record = notice.record
    return {
        "MESSAGE": notice.line,
        "PRIORITY": str(PRIORITIES.get(record["type"], 5)),
        "SYSLOG_IDENTIFIER": "panicast",
        **{f"PANICAST_{key.upper()}": escape(str(record[key])) for key in _FIELDS if record[key]},
    }


def _field(name: str, value: bytes) -> bytes:
    """Return a field with its length, so that no value can begin another field."""
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
