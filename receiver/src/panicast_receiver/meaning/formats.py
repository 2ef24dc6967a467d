# SPDX-License-Identifier: GPL-2.0-or-later
"""All formats, and what goes with them. Data.

To know another report, add a row to the module it belongs to, and a log to the tests. The first row that
fits a line is taken.
"""

from __future__ import annotations

from . import formats_checkers, formats_faults, formats_locks, formats_others, formats_stuck

FORMATS = (
    *formats_checkers.ROWS,
    *formats_locks.ROWS,
    *formats_stuck.ROWS,
    *formats_faults.ROWS,
    *formats_others.ROWS,
)

#: How bad a kind is: memory that is no longer what it was comes first.
SEVERITIES = {
    **dict.fromkeys(("memory corruption", "hardware"), "critical"),
    **dict.fromkeys(("fault", "bug", "stack", "panic", "lockup", "deadlock", "init", "disk"), "high"),
    **dict.fromkeys(("stall", "hang", "out of memory", "locking", "race", "undefined"), "medium"),
    **dict.fromkeys(("warning", "leak", "reference", "asked for", "program"), "low"),
}

#: Words before a report's own: who says it, or the brackets of an older lockdep.
LEAD_INS = (
    "BUG: ",
    "INFO: ",
    " BUG: ",
    " INFO: ",
    "watchdog: ",
    "NMI watchdog: ",
    "rcu: ",
    "[ INFO: ",
    "[ BUG: ",
    "[ WARNING: ",
    "INFO: [ ",
    "Oops: ",
    "traps: ",
    "Kernel Panic - not syncing: ",
)

#: Whose complaint it is, where it stands in a file of these, is better said so than by WARNING or kernel BUG.
BY_FILE = {
    "lib/debugobjects.c": ("memory corruption", "ODEBUG bug{in}"),
    "lib/refcount.c": ("memory corruption", "refcount bug{in}"),
    "include/linux/kref.h": ("memory corruption", "refcount bug{in}"),
    "lib/list_debug.c": ("memory corruption", "list corruption{in}"),
    "kernel/locking/lockdep.c": ("locking", "locking bug{in}"),
    "mm/slab_common.c": ("warning", "kmalloc bug{in}"),
    "mm/util.c": ("warning", "kmalloc bug{in}"),
    "lib/kobject.c": ("warning", "kobject bug{in}"),
    "mm/usercopy.c": ("memory corruption", "bad usercopy{in}"),
}
