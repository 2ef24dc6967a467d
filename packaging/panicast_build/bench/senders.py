# SPDX-License-Identifier: GPL-2.0-or-later
"""The senders that are compared: how a guest loads each, and how its frames become text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from panicast_build.crash import verdict
from panicast_build.crash.guest import Frame

RAW_PROTOCOL = 255
NETCONSOLE_PORT = 6666


@dataclass(frozen=True)
class Sender:
    """One sender: load is what init runs, modules the modules it needs, armed the interfaces that
    panicast reports as ready, and text the function that turns frames into what a log host would
    read."""

    name: str
    load: str
    text: Callable[[Sequence[Frame]], str]
    modules: tuple[str, ...] = ()
    armed: str = ""


def _recorded(frames: Sequence[Frame]) -> str:
    """Returns what the receiver would keep of panics."""
    panics = [record for record in verdict.records(frames) if record.type == "panic"]
    return "\n".join(run.data.decode(errors="replace") for record in panics for run in record.runs)


def _after_ip(frames: Sequence[Frame]) -> str:
    return _joined(bytes(packet.data) for packet in verdict.ip_packets(frames) if packet.p == RAW_PROTOCOL)


def _to_netconsole(frames: Sequence[Frame]) -> str:
    return _joined(
        datagram.data for datagram in verdict.datagrams(frames) if datagram.dport == NETCONSOLE_PORT
    )


def _joined(pieces: Iterable[bytes]) -> str:
    return b"".join(pieces).decode(errors="replace")


SENDERS = (
    Sender("panicast", "insmod /panicast.ko", _recorded, armed="eth0"),
    Sender("panicast, raw", "insmod /panicast.ko format=raw", _recorded, armed="eth0"),
    Sender("netconsole", "netconsole eth0", _to_netconsole, modules=("netconsole",)),
    Sender("dev_queue_xmit", "insmod /article.ko", _after_ip),
)
