# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends syslog messages (RFC 5424) over UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS (RFC
5425)."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Sequence

from ..settings.syslog import SyslogServer
from ..text import escape
from . import PRIORITIES, Notice, too_long

#: local0, so that panics of other machines are not taken for the log host's own kernel's.
_FACILITY = 16
_TIMEOUT_S = 10
#: An enterprise number of the documentation's (RFC 5612).
_SD_ID = "panicast@32473"
_PARAMETERS = ("id", "type", "signature", "release", "boot_id")


class Syslog:
    """Sends one message for each record. UDP reports only failures of this machine."""

    def __init__(self, server: SyslogServer, context: ssl.SSLContext | None = None) -> None:
        self.name = "syslog"
        self.most = 1
        self._server = server
        self._context = context

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        for notice in batch:
            self._send(notice)

    def _send(self, notice: Notice) -> None:
        line = message(notice)
        if self._server.way == "udp":
            family, kind, protocol, _, address = socket.getaddrinfo(
                *self._server[1:], type=socket.SOCK_DGRAM
            )[0]
            with socket.socket(family, kind, protocol) as sock, too_long():
                sock.sendto(line, address)
            return
        with socket.create_connection(self._server[1:], _TIMEOUT_S) as plain:
            counted = b"%d %s" % (len(line), line)
            if self._server.way == "tcp":
                _send_all(plain, counted)
                return
            context = self._context or ssl.create_default_context()
            with context.wrap_socket(plain, server_hostname=self._server.host) as sealed:
                _send_all(sealed, counted)


def message(notice: Notice) -> bytes:
    """Return the record as one message; its text stays in the database."""
    record = notice.record
    host = re.sub(r"[^!-~]", "_", record["host"])[:255] or "-"
    parameters = " ".join(f'{key}="{_value(record[key])}"' for key in _PARAMETERS if record[key])
    priority = _FACILITY * 8 + PRIORITIES.get(record["type"], 5)
    head = f"<{priority}>1 {record['received'][:26]}Z {host} panicast - {record['type']}"
    return f"{head} [{_SD_ID} {parameters}] {notice.line}".encode("utf-8", "backslashreplace")


def _value(value: object) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", escape(str(value)))


def _send_all(sock: socket.socket, data: bytes) -> None:
    """Send, and wait until the other side has closed too: then it has read everything, or we learn
    of its failure."""
    until = time.monotonic() + _TIMEOUT_S
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(4096):
        if time.monotonic() > until:
            raise TimeoutError("the server does not stop talking")
