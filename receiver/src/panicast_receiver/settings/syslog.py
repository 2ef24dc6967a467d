# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses the setting `syslog`: WAY:HOST:PORT of a syslog server."""

from __future__ import annotations

import re
from typing import NamedTuple

_SERVER = re.compile(r"(udp|tcp|tls):(\[[0-9a-fA-F:.]+\]|[\w.-]+):([0-9]{1,5})")


class SyslogServer(NamedTuple):
    """A syslog server, and how it is reached: udp, tcp or tls."""

    way: str
    host: str
    port: int


def parse_syslog(text: str) -> SyslogServer:
    """Split WAY:HOST:PORT. Raises ValueError."""
    match = _SERVER.fullmatch(text)
    if not match or not 0 < int(match[3]) < 65536:
        raise ValueError(text)
    return SyslogServer(match[1], match[2].strip("[]"), int(match[3]))
