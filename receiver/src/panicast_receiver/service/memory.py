# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks that the memory that the settings allow fits into the unit's MemoryMax=."""

from __future__ import annotations

from pathlib import Path

from .. import programs
from ..settings import Settings
from ..settings.kinds import host_and_port, parse_interfaces
from .handoff import LIMIT_BYTES

UNIT = "panicast-receiver.service"
#: Python, the sinks, and the process that analyses texts, which may take 512; and as much for what reads
#: debug information.
_BESIDES_MIB, _SYMBOLS_MIB = 600, 512
_MIB = 1 << 20


def needed(settings: Settings) -> int:
    """Return how many bytes the service may use at most."""
    each = settings.receive_buffer_mib
    if host_and_port(settings.listen)[0] == "::":
        # The ring of IPv6.
        each += each // 4
    buffers = each * len(parse_interfaces(settings.interface))
    besides = _BESIDES_MIB + (_SYMBOLS_MIB if settings.symbols else 0)
    arriving = max(settings.memory_mib, settings.reserve_mib)
    return (arriving + buffers + besides) * _MIB + LIMIT_BYTES


def warnings(settings: Settings, limit: int | None) -> list[str]:
    """Return a sentence if it does not fit."""
    wanted = needed(settings)
    if limit is None or wanted <= limit:
        return []
    most = -(-wanted // _MIB)
    return [
        f"the service may take {most} MiB (memory_mib, reserve_mib, receive_buffer_mib and what it needs "
        f"besides), and its unit ends it at {limit // _MIB}; run `systemctl edit panicast-receiver`, write "
        f"[Service] and MemoryMax={most}M, and restart it"
    ]


def own_limit() -> int | None:
    """Return the lowest limit of our control groups; None if there is none."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    (path,) = [line[3:] for line in lines if line.startswith("0::/")] or ["/"]
    found: list[int] = []
    root = Path("/sys/fs/cgroup")
    group = root / path.lstrip("/")
    for folder in (group, *group.parents):
        if root not in (folder, *folder.parents):
            break
        try:
            found.append(int((folder / "memory.max").read_text()))
        except (OSError, ValueError):
            continue
    return min(found, default=None)


def units_limit() -> int | None:
    """Return the limit that systemd would give the unit; None if it has none, or systemd is not
    there."""
    limit = programs.said("systemctl", "show", "--property=MemoryMax", "--value", UNIT) or ""
    # Of a unit that is not there it is infinity, or the highest number that there is.
    return int(limit) if limit.isascii() and limit.isdigit() and int(limit) < 1 << 62 else None
