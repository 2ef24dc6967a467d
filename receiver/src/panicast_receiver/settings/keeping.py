# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings that say where records are kept, and for how long."""

from __future__ import annotations

from .kinds import Setting

KEEPING: tuple[Setting, ...] = (
    Setting(
        "state_dir",
        str,
        "",
        "DIR",
        "Folder of the database. Empty: /var/lib/panicast for root, the user panicast and (for "
        "reading) its group, else $XDG_STATE_HOME/panicast, by default ~/.local/state/panicast.",
        readers=True,
    ),
    Setting(
        "records_per_host",
        int,
        1000,
        "N",
        "Keep at most N records of each host; unsealed records are counted separately. Tests are "
        "deleted before panics, incomplete before complete, old before new ones. 0: no limit.",
        low=0,
        high=1000000000,
        live=True,
    ),
    Setting(
        "keep_days",
        float,
        0.0,
        "DAYS",
        "Delete records that are older than this. 0: never.",
        low=0,
        high=36500,
        live=True,
    ),
    Setting(
        "keep_mib",
        int,
        0,
        "MIB",
        "Delete records when the database is larger than this: unsealed before sealed, tests "
        "before panics, incomplete before complete, old before new ones. 0: a tenth of the file "
        "system, but at most 16 GiB and half of what is free.",
        low=0,
        high=1 << 30,
        live=True,
    ),
)
