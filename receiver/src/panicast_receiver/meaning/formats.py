# SPDX-License-Identifier: GPL-2.0-or-later
"""All formats, and what goes with them. Data.

To recognise another report, add a row to the module that it belongs to, and a log to the tests. The
first row that matches a line is used.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from . import formats_checkers, formats_faults, formats_locks, formats_others, formats_stuck
from .format import AT, RUNNING, Format
from .innocent import (
    ALLOCATING,
    COMMON,
    COPYING,
    OBJECTS,
    PROC,
    REFERENCES,
    SOCKETS,
    STUCK,
    URBS,
    Names,
)

FORMATS = (
    *formats_checkers.ROWS,
    *formats_locks.ROWS,
    *formats_stuck.ROWS,
    *formats_faults.ROWS,
    *formats_others.ROWS,
)

#: Exceptions with a number, and other reports, that no row describes.
EXCEPTION_NUMBER = re.compile(r" ?(?P<what>[A-Za-z][\w -]{2,60})(?:[:(][^\[]{0,60})?\[#\d{1,5}\]")
ANY_EXCEPTION = Format("", "fault", "{what}{in}", AT)
ANY_OTHER = Format("", "warning", "{rest}{in}", AT)

#: The severity of each kind, the worst first: corrupted memory.
SEVERITY_OF = {
    **dict.fromkeys(("memory corruption", "hardware"), "critical"),
    **dict.fromkeys(("fault", "bug", "stack", "panic", "lockup", "deadlock", "init", "disk"), "high"),
    **dict.fromkeys(("stall", "hang", "out of memory", "locking", "race", "undefined"), "medium"),
    **dict.fromkeys(("warning", "leak", "reference", "asked for", "program"), "low"),
}

#: All severities, the worst first.
SEVERITIES = tuple(dict.fromkeys(SEVERITY_OF.values()))

#: Words before a report's own: who reports it, or the brackets of an older lockdep.
LEAD_INS = (
    *("watchdog: ", "NMI watchdog: ", "rcu: ", "[ ", "INFO: [ ", "Oops: ", "traps: "),
    "Kernel Panic - not syncing: ",
)


class Better(NamedTuple):
    """A better name than WARNING or kernel BUG, for a file and for functions with these words."""

    file: str
    functions: tuple[str, ...]
    kind: str
    title: str
    innocent: Names
    look: tuple[str, ...] = AT
    pick: str = "first"


#: Better names by the file and function of a WARNING or BUG.
BETTER = (
    Better("lib/debugobjects.c", (), "memory corruption", "ODEBUG bug{in}", OBJECTS),
    Better("lib/refcount.c", (), "memory corruption", "refcount bug{in}", REFERENCES),
    Better("include/linux/kref.h", (), "memory corruption", "refcount bug{in}", REFERENCES),
    Better("lib/list_debug.c", (), "memory corruption", "list corruption{in}", COMMON, ("trace",)),
    Better("mm/usercopy.c", (), "memory corruption", "bad usercopy{in}", COPYING, ("trace",)),
    Better("kernel/locking/lockdep.c", ("lock_",), "locking", "locking bug{in}", SOCKETS),
    Better("kernel/lockdep.c", ("lock_",), "locking", "locking bug{in}", SOCKETS),
    Better(
        *("kernel/watchdog.c", ("watchdog_overflow_callback",), "lockup", "hard lockup{in}"),
        *(STUCK, RUNNING, "called"),
    ),
    Better("lib/kobject.c", (), "warning", "kobject bug{in}", COMMON),
    Better("fs/proc/generic.c", (), "warning", "proc registration bug{in}", PROC),
    Better("mm/", ("kmalloc", "kvmalloc"), "warning", "kmalloc bug{in}", ALLOCATING),
    Better("mm/vmalloc.c", ("__vmalloc_node",), "warning", "zero-size vmalloc{in}", COMMON),
    Better("drivers/usb/core/urb.c", ("usb_submit_urb",), "warning", "WARNING{in}/usb_submit_urb", URBS),
)


def better(form: Format, file: str, function: str) -> Format:
    """Return the format, with a better name if there is one."""
    for one in BETTER:
        if _of(one, file) and (not one.functions or any(word in function for word in one.functions)):
            return form._replace(
                kind=one.kind, title=one.title, innocent=one.innocent, look=one.look, pick=one.pick
            )
    return form


def _of(one: Better, file: str) -> bool:
    """Tell whether a file is meant: distributions also name the folder in which they built the
    kernel."""
    return file.startswith(one.file) or (file.startswith(("/", "../")) and f"/{one.file}" in file)
