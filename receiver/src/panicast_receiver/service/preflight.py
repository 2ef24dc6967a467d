# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``serve`` needs of its settings before it begins: looked at by it, by a reload and by check-config."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ReceiverError, UsageError
from ..secretfile import place
from ..settings import Settings
from ..settings.kinds import host_and_port, parse_interfaces
from ..sinks import Sink
from ..sinks.choice import chosen
from ..wire.sealing import Keys, read_keys


class Ready(NamedTuple):
    """What was found."""

    keys: Keys
    sinks: Sequence[Sink]


def prepare(settings: Settings) -> Ready:
    """All that can be looked at while another service runs; raises ReceiverError."""
    _, port = host_and_port(settings.listen)
    if port and settings.netconsole_port == port:
        raise UsageError(
            f"netconsole_port: {port} is the port of listen, where panicast's own frames come in; netconsole "
            "needs another one, 6666 is usual"
        )
    keys = keys_of(settings)
    for name in parse_interfaces(settings.interface):
        _find(name, settings.listen)
    return Ready(keys, chosen(settings))


def keys_of(settings: Settings) -> Keys:
    """The keys that the settings name; raises ReceiverError."""
    keys = read_keys(place(settings.key_file)) if settings.key_file else {}
    for name in ("require_sealed", "sealed_hosts"):
        if getattr(settings, name) and not keys:
            found = f"{place(settings.key_file)} has none" if settings.key_file else "key_file names none"
            raise UsageError(
                f"{name} without a key would drop everything, and {found}; "
                "`panicast-receiver keygen --help` says how one is made"
            )
    return keys


def _find(interface: str, listen: str) -> None:
    if not interface:
        return
    try:
        socket.if_nametoindex(interface)
    except OSError:
        there = ", ".join(name for _, name in socket.if_nameindex())
        raise ReceiverError(
            f"cannot listen on {listen} on {interface}: there is no such interface; there are: {there}"
        ) from None
