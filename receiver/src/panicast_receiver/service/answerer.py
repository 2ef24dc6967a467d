# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers tests: tells their senders that the record is stored, whole.

Whoever forges a sender's address makes us send to others. So an answer is one datagram, never larger than
what certainly came, few for each address, to no service's port, and never to more than one machine.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections import Counter
from typing import Protocol

from ..assembly.rates import Rate
from ..log import logger
from ..records.record import Record, Source
from ..wire.answer import SALT_BYTES, encode
from ..wire.sealing import Keys
from ..wire.v1 import HEADER, HOST_BYTES, TAG_BYTES

#: Answers to one address, and to all of them: at once, and again within a minute.
_EACH, _ALL = (10, 60), (1000, 6000)
#: Below are the ports of services that everybody knows.
_FIRST_PORT = 1024
_BROADCAST = b"\xff" * 4


class Port(Protocol):
    """The socket to which the tests came."""

    def answer(self, data: bytes, source: Source, port: int, own: bytes) -> None:
        """See UdpCapture."""


class Answerer:
    """``counts`` tells of answers, and of those that were not given. Called by the store's thread."""

    def __init__(self, port: Port, netconsole_port: int) -> None:
        self.counts: Counter[str] = Counter()
        self.confirm = "never"
        self.keys: Keys = {}
        self._port = port
        self._netconsole_port = netconsole_port
        self._name = socket.gethostname()
        self._each, self._all = (Rate(again, at_once) for at_once, again in (_EACH, _ALL))

    def answer(self, record: Record) -> None:
        """Answer a record that has just been stored whole, if it is a test that may be answered."""
        reply, ip = record.source.reply, record.source.ip
        if record.type != "test" or reply is None or ip is None or self.confirm == "never":
            return
        everybody = _is_for_many(reply.to)
        if everybody and self.confirm != "always":
            return
        refusal = self._refusal(record, ip, reply.port, reply.to)
        if refusal:
            self.counts[refusal] += 1
            return
        data = self._encoded(record, reply.header)
        came = HEADER.size + len(record.metadata or b"") + (TAG_BYTES if record.sealed else 0)
        if data is None or len(data) > came:
            self.counts["not answered: too small"] += 1
            return
        try:
            self._send(data, record.source, reply.port, b"" if everybody else reply.to)
            self.counts["answered"] += 1
        except OSError as error:
            self.counts["not answered: not sent"] += 1
            logger.debug("a test from %s is not answered: %s", ip, error.strerror)

    def _refusal(self, record: Record, ip: str, port: int, to: bytes) -> str:
        """Return why this sender gets no answer; empty if it gets one."""
        address = ipaddress.ip_address(ip)
        # What comes from elsewhere in our own name is forged.
        forged = record.source.iface != "lo" and (address.is_loopback or address.packed == to)
        if forged or address.is_unspecified or _is_for_many(address.packed):
            return "not answered: address"
        if port < _FIRST_PORT or port == self._netconsole_port:
            return "not answered: port"
        now = time.monotonic()
        # Whoever forges unsealed tests uses up no answer to sealed ones.
        allowed = self._each.allows((ip, record.sealed), now) and self._all.allows(record.sealed, now)
        return "" if allowed else "not answered: rate"

    def _encoded(self, record: Record, header: bytes) -> bytes | None:
        key = None
        if record.sealed:
            known = self.keys.get(header[7])
            if known is None:
                return None
            key = known.of(header[HEADER.size - HOST_BYTES :])
        return encode(header, record.restored, self._name, key, os.urandom(SALT_BYTES))

    def _send(self, data: bytes, source: Source, port: int, own: bytes) -> None:
        try:
            self._port.answer(data, source, port, own)
        except OSError:
            # The broadcast of a segment looks like the address of a machine.
            if self.confirm != "always" or not own:
                raise
            self._port.answer(data, source, port, b"")


def _is_for_many(address: bytes) -> bool:
    """Tell whether an address is a broadcast to everybody, or multicast."""
    return address == _BROADCAST or not address or ipaddress.ip_address(address).is_multicast
