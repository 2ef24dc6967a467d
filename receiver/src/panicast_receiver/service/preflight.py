# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks what ``serve`` needs before it starts; `serve` itself, a reload and check-config call it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

from ..alerts import courier, rules
from ..alerts.decide import Alerts
from ..errors import ReceiverError, UsageError
from ..secretfile import place
from ..settings import Settings
from ..settings.kinds import host_and_port, parse_interfaces
from ..sinks import Sink
from ..sinks.choice import chosen
from ..wire.sealing import Keys, read_keys
from .labeller import Source, source_of


class Ready(NamedTuple):
    """What the checks found."""

    keys: Keys
    sinks: Sequence[Sink]
    rules: rules.Rules
    #: The one of the sinks that decides about alerts, if the settings name rules.
    alerts: Alerts | None
    labels: Source


def prepare(settings: Settings) -> Ready:
    """Check everything that can be checked while another service runs. Raises ReceiverError."""
    _, port = host_and_port(settings.listen)
    if port and settings.netconsole_port == port:
        raise UsageError(
            f"netconsole_port: {port} is the port of `listen`, which receives panicast's own frames; "
            "netconsole needs another one, usually 6666"
        )
    keys = keys_of(settings)
    for name in parse_interfaces(settings.interface):
        _find(name, settings.listen)
    told = rules_of(settings.alerts_file)
    sinks = chosen(settings, rules.files(told))
    alerts = Alerts(told, settings.state_path(writing=True)) if settings.alerts_file else None
    return Ready(keys, [*sinks, alerts] if alerts else sinks, told, alerts, source_of(settings.labels))


def rules_of(alerts_file: str) -> rules.Rules:
    """Return the rules of alerts in a file; none if it has no name. Raises ReceiverError."""
    told = rules.load(alerts_file) if alerts_file else rules.Rules()
    for target in told.target:
        # Secrets can be read, and what is made of them too.
        courier.made(target, courier.made_up())
    return told


def keys_of(settings: Settings) -> Keys:
    """Return the keys that the settings name. Raises ReceiverError."""
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
