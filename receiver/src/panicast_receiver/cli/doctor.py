# SPDX-License-Identifier: GPL-2.0-or-later
"""``doctor``: finds what would stop last words from being heard or kept on this machine, and how to
fix it."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .. import programs, stats
from ..capture.holder import holders
from ..db import damage, schema
from ..service import locator, memory
from ..settings import Settings
from ..settings.kinds import host_and_port, parse_interfaces

#: Less room than this for the database is bad.
ROOM_BYTES = 256 << 20
_PROC = Path("/proc")


class Finding(NamedTuple):
    """One thing that was checked; ``fix`` is empty if it is good."""

    what: str
    fix: str = ""


def run(settings: Settings, state_dir: Path) -> int:
    """Print every finding; return 1 if one of them is bad."""
    findings = list(examine(settings, state_dir))
    for finding in findings:
        print(f"{'BAD ' if finding.fix else 'ok  '} {finding.what}")
        if finding.fix:
            print(f"     {finding.fix}")
    return 1 if any(finding.fix for finding in findings) else 0


def examine(settings: Settings, state_dir: Path) -> Iterator[Finding]:
    """Yield a finding for everything that is checked."""
    yield _service(state_dir)
    yield _port(host_and_port(settings.listen)[1])
    yield from (_interface(name) for name in parse_interfaces(settings.interface) if name)
    yield from _way_of_capture(settings, state_dir)
    yield from (Finding("the service may need too much memory", line) for line in _memory(settings))
    yield from (Finding(what, fix) for what, fix in locator.warnings(settings))
    yield _room(state_dir)
    yield _database(state_dir)
    yield _clock()


def _service(state_dir: Path) -> Finding:
    path = state_dir / "serve.lock"
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return Finding(f"no service ever ran in {state_dir}", "systemctl enable --now panicast-receiver")
    except BlockingIOError:
        return Finding(f"a service keeps its records in {state_dir}")
    except PermissionError:
        # Nobody but the service may lock it, nor open it.
        if stats.read(state_dir) is None:
            return Finding(f"no service has said anything in {state_dir} lately", "run this as root")
        return Finding(f"a service keeps its records in {state_dir}")
    except OSError as error:
        return Finding(f"cannot tell whether a service runs: {path}: {error.strerror}", "run this as root")
    return Finding(f"no service runs in {state_dir}", "systemctl enable --now panicast-receiver")


def _port(port: int) -> Finding:
    names = holders(port)
    if names:
        return Finding(f"UDP port {port} is held by {', '.join(names)}")
    return Finding(f"nobody listens on UDP port {port}", "start the service, or look at its `listen`")


def _interface(name: str) -> Finding:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return Finding(
            f"interface {name} does not exist", "correct `interface`, or make it empty: all of them"
        )
    state = Path(f"/sys/class/net/{name}/operstate").read_text().strip()
    if state in ("up", "unknown"):
        return Finding(f"interface {name} is up")
    return Finding(f"interface {name} is {state}", f"ip link set {name} up")


def _memory(settings: Settings) -> list[str]:
    return memory.warnings(settings, memory.units_limit())


def _way_of_capture(settings: Settings, state_dir: Path) -> Iterator[Finding]:
    """Check how the running service captures: without CAP_NET_RAW it uses UDP, whatever its
    settings say.

    rp_filter, a firewall and the receive buffer matter only to a UDP socket.
    """
    said = (stats.read(state_dir) or {}).get("capture")
    if said == ["ring"]:
        yield Finding("packets come from a ring, before rp_filter and any firewall")
        return
    if said is None and settings.capture != "udp":
        yield Finding("unknown whether packets come from a ring: only a running service says so")
        return
    asked = settings.capture != "udp"
    yield Finding(
        "packets come from a UDP socket"
        + ("; for a ring the service has no CAP_NET_RAW" if asked else ", as `capture` asks"),
        'start it by its unit, or as root; or write capture = "udp"' if asked else "",
    )
    granted = int((_PROC / "sys/net/core/rmem_max").read_text())
    wanted = settings.receive_buffer_mib << 20
    yield Finding(
        f"the kernel grants {granted >> 10} KiB of receive buffer",
        "" if granted >= wanted else f"sysctl net.core.rmem_max={wanted}, or capture from a ring",
    )
    strict = [
        path.parent.name
        for path in sorted((_PROC / "sys/net/ipv4/conf").glob("*/rp_filter"))
        if path.read_text().strip() == "1"
    ]
    yield Finding(
        f"rp_filter is strict on {', '.join(strict) or 'no interface'}",
        "it drops packets of senders without a route back: set rp_filter=2, or capture from a ring"
        if strict
        else "",
    )
    yield Finding(
        "a firewall may block the UDP socket (not checked)",
        f"allow UDP port {host_and_port(settings.listen)[1]} in it, or capture from a ring",
    )


def _room(state_dir: Path) -> Finding:
    place = next(folder for folder in (state_dir, *state_dir.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return Finding(
        f"{free >> 20} MiB are free in {place}",
        "" if free >= ROOM_BYTES else "make room, or set keep_days or keep_mib",
    )


def _database(state_dir: Path) -> Finding:
    path = state_dir / schema.FILE_NAME
    if not os.access(path, os.R_OK):
        return Finding(
            f"{path} cannot be read, or does not exist yet", "start the service, or run this as root"
        )
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, factory=damage.Connection) as database:
            (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return Finding(f"{path} cannot be read: {error}", "run this as root, or see the service's log")
    if answer == "ok":
        return Finding(f"{path} is sound")
    return Finding(
        f"{path} is damaged: {answer}",
        "systemctl restart panicast-receiver sets it aside; then run: panicast-receiver recover",
    )


def _clock() -> Finding:
    """Check the clock: records show the sender's time and ours."""
    told = programs.said("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if told is None:
        return Finding("unknown whether the clock is synchronised (no timedatectl)")
    fix = "" if told == "yes" else "timedatectl set-ntp true"
    return Finding(f"the clock is {'' if told == 'yes' else 'not '}synchronised", fix)
