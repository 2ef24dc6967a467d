# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses where syslog messages go, as in the setting: WAY:HOST:PORT."""

from __future__ import annotations

import re
from typing import NamedTuple

_TARGET = re.compile(r"(udp|tcp|tls):(\[[0-9a-fA-F:.]+\]|[\w.-]+):([0-9]{1,5})")


class Target(NamedTuple):
    """A syslog server."""

    way: str
    host: str
    port: int


def parse_target(text: str) -> Target:
    """Split WAY:HOST:PORT; raises ValueError."""
    match = _TARGET.fullmatch(text)
    if not match or not 0 < int(match[3]) < 65536:
        raise ValueError(text)
    return Target(match[1], match[2].strip("[]"), int(match[3]))
