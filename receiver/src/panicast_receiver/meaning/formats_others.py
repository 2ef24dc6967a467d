# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of hardware, warnings, file systems, and the panic itself. Data."""

from __future__ import annotations

from .format import AT, CONSEQUENCES, PANIC, RUNNING, TRACE, Format, detail, rows
from .innocent import DEEP, EXT, OBJECTS, REFERENCES, SERRORS, STUCK

ROWS = (
    Format(
        "mce: [Hardware Error]: ",
        "hardware",
        "machine check{hardware}",
        (),
        detail=detail(r"CPU \d+: Machine Check"),
    ),
    Format(
        "[Hardware Error]: ",
        "hardware",
        "machine check{hardware}",
        (),
        detail=detail(r"CPU ?\d+: Machine Check"),
    ),
    Format("CPU ", "hardware", "machine check{hardware}", (), detail=detail(r"\d+: Machine Check Exception")),
    *rows(
        "hardware",
        (),
        {
            "HARDWARE ERROR": "machine check{hardware}",
        },
    ),
    *rows(
        "hardware",
        AT,
        {
            "Machine check in kernel mode": "machine check{in}",
            "Machine check, sig: ": "machine check{in}",
        },
    ),
    *rows(
        "hardware",
        (),
        {
            "NMI: IOCK error": "NMI: IOCK error",
            "NMI: PCI system error": "NMI: PCI system error",
            "NMI: Not continuing": "NMI: not continuing",
        },
    ),
    Format(
        "ODEBUG: ",
        "memory corruption",
        "ODEBUG bug{in}",
        AT,
        OBJECTS,
        detail(r"(?:free|init|activate|deactivate|destroy|assert_init|object) "),
    ),
    *rows(
        "memory corruption",
        AT,
        {
            "refcount_t: ": "refcount bug{in}",
            "kref: ": "refcount bug{in}",
        },
        REFERENCES,
    ),
    Format(
        "WARNING: kernel stack regs at ",
        "warning",
        "kernel stack regs has bad {what} value",
        (),
        detail=detail(r"[0-9a-f]{1,16} in [^ ]{1,80} has bad '(?P<what>\w{1,16})' value"),
    ),
    Format(
        "WARNING: kernel stack frame pointer at ",
        "warning",
        "kernel stack frame pointer has bad value",
        (),
        detail=detail(r"[0-9a-f]{1,16} in "),
    ),
    *rows(
        "warning",
        (),
        {
            "WARNING: kernel stack regs ": "kernel stack regs has bad value",
            "WARNING: kernel stack frame pointer ": "kernel stack regs has bad value",
            "WARNING: stack recursion": "stack recursion",
        },
    ),
    Format(
        "WARNING: CPU: ",
        "warning",
        "WARNING{in}",
        AT,
        detail=detail(r"\d+ PID: \d+ at (?P<file>[^ :]{1,200}):\d+(?: (?P<where>[^ ]{1,200}))?"),
    ),
    Format(
        "WARNING: CPU: ",
        "warning",
        "WARNING{in}",
        AT,
        detail=detail(r"\d+ PID: \d+ at (?P<where>[^ ]{1,200})"),
    ),
    Format(
        "WARNING: at ",
        "warning",
        "WARNING{in}",
        AT,
        detail=detail(r"(?P<file>[^ :]{1,200}):\d+(?: (?P<where>[^ ]{1,200}))?"),
    ),
    Format(
        "WARNING: ",
        "warning",
        "WARNING{in}",
        AT,
        detail=detail(r"(?P<file>[\w./+-]{1,200}\.[chS]):\d+ at (?P<where>[^ ,]{1,200})"),
    ),
    Format(
        "WARNING: [",
        "warning",
        "WARNING{in}",
        AT,
        detail=detail(r".{1,300}?\] (?P<file>[\w./+-]{1,200}\.[chS]):\d+ at (?P<where>[^ ,]{1,200})"),
    ),
    Format("WARNING: ", "warning", "WARNING: {rest}{in}", TRACE, confirm=True),
    *rows(
        "reference",
        (),
        {
            "VFS: Busy inodes after unmount": "VFS: Busy inodes after unmount",
        },
    ),
    *rows(
        "reference",
        TRACE,
        {
            "VFS: Close: file count is": "VFS: Close: file count is zero{in}",
        },
    ),
    Format(
        "BUG: Dentry ",
        "reference",
        "Dentry still in use in unmount",
        (),
        detail=detail(r".{1,200} still in use"),
    ),
    Format(
        "BUG ",
        "memory corruption",
        "slab corruption: {what}{in}",
        TRACE,
        detail=detail(r"[\w-]{1,80}(?: \((?:Not t|T)ainted[^)]{0,80}\))?: (?P<what>[A-Z][A-Za-z ]{2,60})"),
    ),
    *rows(
        "memory corruption",
        TRACE,
        {
            "slab error in ": "slab corruption{in}",
            "Slab corruption": "slab corruption{in}",
        },
    ),
    *rows(
        "memory corruption",
        AT,
        {
            "list_add corruption": "list corruption{in}",
            "list_del corruption": "list corruption{in}",
        },
    ),
    *rows(
        "program",
        (),
        {
            "SYZFATAL: ": "SYZFATAL: {rest}",
            "SYZFAIL: ": "SYZFAIL: {rest}",
        },
    ),
    *rows(
        "stack",
        ("trace",),
        {
            PANIC + "corrupted stack end detected": "corrupted stack end{in}",
        },
        DEEP,
        "called",
    ),
    Format(
        PANIC + "stack-protector: Kernel stack is corrupted in: ",
        "stack",
        "stack is corrupted{in}",
        TRACE,
        detail=detail(r"(?P<where>[^ ]{1,200})"),
    ),
    Format(
        PANIC + "Out of memory",
        "out of memory",
        "out of memory: {what}",
        TRACE,
        detail=detail(r": (?P<what>[a-z-]+ panic_on_oom)"),
    ),
    *rows(
        "out of memory",
        TRACE,
        {
            PANIC + "Out of memory": "out of memory: no killable processes",
            PANIC + "System is deadlocked on memory": "out of memory: no killable processes",
            "Out of memory and no killable processes": "out of memory: no killable processes",
        },
    ),
    *rows(
        "asked for",
        TRACE,
        {
            PANIC + "sysrq triggered crash": "panic: sysrq triggered crash",
        },
    ),
    *rows(
        "init",
        TRACE,
        {
            PANIC + "Attempted to kill init": "panic: Attempted to kill init",
        },
    ),
    *rows(
        "panic",
        TRACE,
        {
            PANIC + "Attempted to kill the idle task": "panic: Attempted to kill the idle task",
        },
    ),
    *rows(
        "disk",
        TRACE,
        {
            PANIC + "VFS: Unable to mount root fs": "panic: VFS: Unable to mount root fs",
        },
    ),
    *(
        Format(
            f"{PANIC}EXT{version}-fs ",
            "disk",
            f"panic: EXT{version}-fs error{{in}}",
            TRACE,
            EXT,
            detail(r"(?:\(device [^)]{1,80}\): )?panic (?:forced after error|from previous error)"),
        )
        for version in (2, 3, 4)
    ),
    Format(
        "PANIC at ",
        "bug",
        "ZFS panic{in}",
        ("named",),
        detail=detail(r"[\w.-]{1,80}:\d+:(?P<where>\w{1,120})\(\)"),
    ),
    Format(
        "SPLError: ",
        "bug",
        "ZFS panic{in}",
        ("named",),
        detail=detail(r"\d+:\d+:\([\w.-]{1,80}:\d+:(?P<where>\w{1,120})\(\)\) SPL PANIC"),
    ),
    *rows(
        "init",
        TRACE,
        {
            PANIC + "No init found": "panic: No working init found",
            PANIC + "No working init found": "panic: No working init found",
            PANIC + "Requested init ": "panic: Requested init failed",
        },
    ),
    *rows(
        "lockup",
        RUNNING,
        {
            PANIC + "Watchdog detected hard LOCKUP": "hard lockup{in}",
            PANIC + "Hard LOCKUP": "hard lockup{in}",
        },
        STUCK,
        "called",
    ),
    *rows(
        "hardware",
        (),
        {
            PANIC + "Fatal machine check": "machine check{hardware}",
            PANIC + "Fatal Machine check": "machine check{hardware}",
            PANIC + "Unrecoverable machine check": "machine check{hardware}",
            PANIC + "Machine check": "machine check{hardware}",
            PANIC + "Timeout: Not all CPUs entered": "machine check: not all CPUs answered",
            PANIC + "Fatal hardware error": "fatal hardware error",
            PANIC + "GHES: Fatal": "fatal hardware error",
            PANIC + "NMI: Not continuing": "NMI: not continuing",
            PANIC + "NMI IOCK error": "NMI: IOCK error",
        },
    ),
    *rows(
        "hardware",
        AT,
        {
            PANIC + "Asynchronous SError Interrupt": "SError{in}",
        },
        SERRORS,
    ),
    *rows(
        "stack",
        ("trace",),
        {
            PANIC + "stack overflow": "stack overflow{in}",
            PANIC + "kernel stack overflow": "stack overflow{in}",
            PANIC + "Kernel stack overflow": "stack overflow{in}",
        },
        DEEP,
        "called",
    ),
    *(Format(PANIC + words, "panic", f"panic: {words}{{in}}", AT) for words in CONSEQUENCES),
    *rows(
        "panic",
        TRACE,
        {
            PANIC: "panic: {rest}",
            "Kernel panic: ": "panic: {rest}",
            "Kernel panic - ": "panic: {rest}",
        },
    ),
    *rows(
        "bug",
        AT,
        {
            "BUG: ": "BUG: {rest}{in}",
        },
    ),
    Format(
        "INFO: ",
        "warning",
        "{rest}{in}",
        TRACE,
        detail=detail(r"(?:possible|inconsistent|suspicious) .{1,60}(?:locking|lock|RCU)"),
    ),
    Format("INFO: ", "warning", "INFO: {rest}{in}", TRACE, last=True),
    Format(
        "trusty: panic ", "panic", "trusty: {what}", (), detail=detail(r".{1,200}?\): (?P<what>.{1,200})")
    ),
    *(
        Format(begins, "program", title, (), last=True)
        for begins, title in (
            ("fatal error: ", "Go runtime error: {rest}"),
            ("panic: ", "panic: {rest}"),
            ("Booting the kernel.", "unexpected reboot"),
        )
    ),
)
