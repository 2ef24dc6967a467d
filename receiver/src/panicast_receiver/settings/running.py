# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of hosts and of the receiver itself."""

from __future__ import annotations

from .kinds import Setting, one_of

RUNNING: tuple[Setting, ...] = (
    Setting(
        "silent_s",
        float,
        900.0,
        "SECONDS",
        "A host that said hello, and then for this long neither hello nor bye, is silent. Three times the "
        "module's hello_s.",
        low=1,
        high=604800,
        readers=True,
        live=True,
    ),
    Setting(
        "log_level",
        str,
        "info",
        "debug|info|notice|warning",
        "What is logged; records are notices.",
        check=one_of("debug", "info", "notice", "warning"),
        live=True,
    ),
    Setting(
        "stats_s",
        float,
        3600.0,
        "SECONDS",
        "How often the counters are logged; 0: only at the end and on SIGUSR1.",
        low=0,
        high=86400,
        live=True,
    ),
)
