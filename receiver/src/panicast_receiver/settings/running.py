# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of hosts' states and of the receiver's own log."""

from __future__ import annotations

from .kinds import Setting, absolute, one_of

RUNNING: tuple[Setting, ...] = (
    Setting(
        "silent_s",
        float,
        900.0,
        "SECONDS",
        "A host is silent if it said hello and then neither hello nor bye for this long. Use "
        "three times the module's hello_s.",
        low=1,
        high=604800,
        readers=True,
        live=True,
    ),
    Setting(
        "retire_days",
        float,
        90.0,
        "DAYS",
        "A host that is not heard for this long is retired: it is neither listed nor silent any "
        "more, until it is heard again. 0: never. `panicast-receiver retire` does it at once.",
        low=0,
        high=36500,
        readers=True,
        live=True,
    ),
    Setting(
        "labels",
        str,
        "",
        "FILE",
        "Labels of hosts, such as rack, owner and role: a file with lines HOST NAME=VALUE ..., or a "
        "program that prints such lines (an executable file), which is confined like the hook. * and ? in "
        "HOST stand for other characters. A reload reads or runs it again. Empty: none.",
        check=absolute,
        live=True,
        form="an absolute path",
        example="/etc/panicast/labels",
    ),
    Setting(
        "log_level",
        str,
        "info",
        "debug|info|notice|warning",
        "Lowest level to log. Records are logged as notices.",
        check=one_of("debug", "info", "notice", "warning"),
        live=True,
    ),
    Setting(
        "stats_s",
        float,
        3600.0,
        "SECONDS",
        "How often to log the counters. 0: only at the end and on SIGUSR1.",
        low=0,
        high=86400,
        live=True,
    ),
)
