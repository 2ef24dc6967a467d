# SPDX-License-Identifier: GPL-2.0-or-later
"""Where records are kept, and for how long."""

from __future__ import annotations

from .kinds import Setting

KEEPING: tuple[Setting, ...] = (
    Setting(
        "state_dir",
        str,
        "",
        "DIR",
        "Folder of the database. Empty: /var/lib/panicast if root, user panicast or (for reading) its group "
        "asks, else $XDG_STATE_HOME/panicast, which is ~/.local/state/panicast by default.",
        readers=True,
    ),
    Setting(
        "records_per_host",
        int,
        1000,
        "N",
        "Of each host, records beyond N are deleted: what is not sealed counts for itself, tests go before "
        "panics, incomplete before whole, old before new ones. 0: none.",
        low=0,
        high=1000000000,
        live=True,
    ),
    Setting(
        "keep_days",
        float,
        0.0,
        "DAYS",
        "Records older than this are deleted. 0: none.",
        low=0,
        high=36500,
        live=True,
    ),
    Setting(
        "keep_mib",
        int,
        0,
        "MIB",
        "When the database is larger, records are deleted: unsealed before sealed, tests before panics, "
        "incomplete before whole, old before new ones. 0: a tenth of the file system, but at most 16 GiB and "
        "half of what is free.",
        low=0,
        high=1 << 30,
        live=True,
    ),
)
