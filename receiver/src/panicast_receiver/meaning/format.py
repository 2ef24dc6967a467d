# SPDX-License-Identifier: GPL-2.0-or-later
"""Describes a format: how one kind of report begins, what it is called, and where it names the
guilty function."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from .innocent import COMMON, Names

PANIC = "Kernel panic - not syncing: "
#: Where to look for the guilty function: registers, trace, a lock, below the timer's interrupt.
AT, TRACE, LOCK = ("named", "at", "trace"), ("named", "trace"), ("lock", "trace")
RUNNING, INTERRUPTED = ("running",), ("interrupted", "beyond", "running")
#: A panic with these words is the consequence of an earlier complaint, and names nothing by itself.
CONSEQUENCES = (
    *("Fatal exception", "panic_on_warn set", "Oops", "hung_task: blocked tasks", "softlockup: hung tasks"),
    *("RCU Stall", "Fatal error", "kernel: panic_on_warn", "Aiee, killing interrupt handler"),
    *("kasan.fault=panic", "KASAN: panic_on_warn", "UBSAN: panic_on_warn", "KFENCE: panic_on_warn", "KCSAN"),
    *("panic_on_oops", "ubsan: ", "scheduling while atomic"),
)

#: Lines with these words sound like complaints and are none.
NOISE = (
    *(
        "/etc/ssh/moduli",
        "workqueue cpumask: online intersect",
        "he mand mount option",
        "unsupported flag value",
    ),
    *("unprivileged ebpf is enabled", "fbcon: driver", "see https", "kernel not compiled with cpu_"),
    *(
        "deprecated v2 capabilities",
        "wireless extensions",
        "lockdep is turned off",
        "stall ended before state",
    ),
    *("nmi handler", "recovery required on readonly", "took too long", "is not present in /proc/kallsyms"),
    *(
        "no syscalls can create",
        "parsing elf",
        "cannot create timer",
        "alsa",
        "decompressing linux",
        "caches not enabled",
    ),
)


class Format(NamedTuple):
    """One kind of report.

    ``begins``: how its line begins. ``detail``: what the rest of the line must match; its groups
    give ``what`` for the title, and ``where``, a function that the line names. ``title`` may
    contain {what}, {access}, and {in}, which stands for " in " and the function.

    ``look``: where to look for the guilty function, in this order; naming.py knows the places.
    ``innocent``: functions to pass over. ``pick``: which of the others is guilty: the ``first``;
    the one that was ``called`` to do what runs without end; or what a sleeping task ``awaited``.

    ``confirm``: other programs use these words, too. So it is a report only if the kernel drew a
    line before it or prints its state after it, or if there is no other report. ``last``: it is a
    report only if there is no other.
    """

    begins: str
    kind: str
    title: str
    look: tuple[str, ...] = TRACE
    innocent: Names = COMMON
    detail: re.Pattern[str] | None = None
    confirm: bool = False
    last: bool = False
    pick: str = "first"


def detail(pattern: str) -> re.Pattern[str]:
    """Return the pattern of a format's detail."""
    return re.compile(pattern)


def rows(
    kind: str,
    look: tuple[str, ...],
    titles: Mapping[str, str],
    innocent: Names = COMMON,
    pick: str = "first",
) -> tuple[Format, ...]:
    """Return formats that differ only in how they begin and in their titles."""
    return tuple(Format(begins, kind, title, look, innocent, pick=pick) for begins, title in titles.items())
