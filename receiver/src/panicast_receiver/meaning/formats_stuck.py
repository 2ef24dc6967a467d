# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of CPUs and tasks that make no progress. Data."""

from __future__ import annotations

from .format import INTERRUPTED, RUNNING, TRACE, Format, detail, rows
from .innocent import ATOMIC, COMMON, STALLED, STUCK

ROWS = (
    *rows(
        "lockup",
        RUNNING,
        {
            "BUG: soft lockup": "soft lockup{in}",
            "Watchdog detected hard LOCKUP": "hard lockup{in}",
        },
        STUCK,
        pick="called",
    ),
    Format(
        "CPU",
        "lockup",
        "hard lockup{in}",
        RUNNING,
        innocent=STUCK,
        pick="called",
        detail=detail(
            r" ?\d+:? (?:self-detected hard LOCKUP|Hard LOCKUP|detected hard LOCKUP"
            r"|Watchdog detected hard LOCKUP)"
        ),
    ),
    *rows(
        "lockup",
        RUNNING,
        {
            "Watchdog CPU:": "hard lockup{in}",
        },
        STUCK,
        pick="called",
    ),
    Format(
        "INFO: rcu_",
        "stall",
        "RCU stall{in}",
        INTERRUPTED,
        innocent=STALLED,
        pick="called",
        detail=detail(
            r"(?:preempt|sched|bh|state|tasks\w*)(?:_state)? (?:self-detected|detected).{0,32} stall"
        ),
    ),
    Format(
        "rcu_",
        "stall",
        "RCU stall{in}",
        INTERRUPTED,
        innocent=STALLED,
        pick="called",
        detail=detail(r"(?:preempt|sched|bh|state) (?:self-detected|detected).{0,32} stall"),
    ),
    Format(
        "INFO: task ",
        "hang",
        "task can't die{in}",
        TRACE,
        innocent=ATOMIC,
        detail=detail(r".{1,64}:\d+ can't die for more than"),
    ),
    Format(
        "INFO: task ",
        "hang",
        "hung task{in}",
        TRACE,
        innocent=COMMON,
        pick="awaited",
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
