# SPDX-License-Identifier: GPL-2.0-or-later
"""What watches over CPUs and tasks that get no further. Data."""

from __future__ import annotations

from .format import STUCK_AT, TRACE, Format, detail, rows
from .innocent import ASLEEP, STUCK

ROWS = (
    *rows(
        "lockup",
        STUCK_AT,
        {
            "BUG: soft lockup": "soft lockup{in}",
            "Watchdog detected hard LOCKUP": "hard lockup{in}",
        },
        STUCK,
    ),
    Format(
        "CPU",
        "lockup",
        "hard lockup{in}",
        STUCK_AT,
        innocent=STUCK,
        detail=detail(
            r" ?\d+:? (?:self-detected hard LOCKUP|Hard LOCKUP|detected hard LOCKUP"
            r"|Watchdog detected hard LOCKUP)"
        ),
    ),
    *rows(
        "lockup",
        STUCK_AT,
        {
            "Watchdog CPU:": "hard lockup{in}",
        },
        STUCK,
    ),
    Format(
        "INFO: rcu_",
        "stall",
        "RCU stall{in}",
        STUCK_AT,
        innocent=STUCK,
        detail=detail(r"(?:preempt|sched|bh|state|tasks\w*) (?:self-detected|detected).{0,32} stall"),
    ),
    Format(
        "rcu_",
        "stall",
        "RCU stall{in}",
        STUCK_AT,
        innocent=STUCK,
        detail=detail(r"(?:preempt|sched|bh|state) (?:self-detected|detected).{0,32} stall"),
    ),
    Format(
        "INFO: task ",
        "hang",
        "hung task{in}",
        TRACE,
        innocent=ASLEEP,
        detail=detail(
            r".{1,64}:\d+ (?:blocked (?:in I/O wait )?for more than|can't die for more|<[a-z]+> )?"
        ),
    ),
    *rows(
        "reference",
        (),
        {
            "unregister_netdevice: waiting for ": "unregister_netdevice: waiting for a device to become free",
        },
    ),
)
