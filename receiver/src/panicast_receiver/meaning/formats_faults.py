# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of wrong accesses, instructions and stacks, by architecture. Data."""

from __future__ import annotations

from .format import AT, RUNNING, TRACE, Format, detail, rows
from .innocent import DEEP, PACKETS

ROWS = (
    *rows(
        "fault",
        AT,
        {
            "BUG: unable to handle kernel NULL pointer dereference": "NULL pointer dereference{in}",
            "BUG: kernel NULL pointer dereference": "NULL pointer dereference{in}",
            "BUG: Kernel NULL pointer dereference": "NULL pointer dereference{in}",
            "Unable to handle kernel NULL pointer dereference": "NULL pointer dereference{in}",
            "BUG: unable to handle ": "bad paging request{in}",
            "BUG: Unable to handle kernel ": "bad paging request{in}",
        },
    ),
    *rows(
        "stack",
        RUNNING,
        {
            "BUG: stack guard page was hit": "stack guard page was hit{in}",
            "BUG: TASK stack guard page was hit": "stack guard page was hit{in}",
            "BUG: IRQ stack guard page was hit": "stack guard page was hit{in}",
        },
        DEEP,
        "called",
    ),
    *rows(
        "fault",
        AT,
        {
            "Unable to handle kernel pointer dereference": "bad paging request{in}",
            "Unable to handle kernel paging request": "bad paging request{in}",
        },
    ),
    Format(
        "Unable to handle kernel ",
        "fault",
        "bad {what}{in}",
        AT,
        detail=detail(
            r"(?P<what>access to user memory|execution of user memory|execute from non-executable memory"
            r"|read from unreadable memory|write to read-only memory|instruction fetch)"
        ),
    ),
    *rows(
        "fault",
        AT,
        {
            "Unable to handle kernel ": "bad paging request{in}",
            "Unable to handle paging request": "bad paging request{in}",
        },
    ),
    Format(
        "CPU ",
        "fault",
        "bad paging request{in}",
        AT,
        detail=detail(r"\d+ Unable to handle kernel paging request"),
    ),
    *rows(
        "fault",
        AT,
        {
            "Kernel attempted to ": "bad paging request{in}",
            "kernel tried to execute ": "bad paging request{in}",
        },
    ),
    *rows(
        "bug",
        AT,
        {
            "kernel BUG at ": "kernel BUG{in}",
            "Kernel BUG at ": "kernel BUG{in}",
            "Kernel BUG [#": "kernel BUG{in}",
            "Kernel bug detected[#": "kernel BUG{in}",
        },
        PACKETS,
    ),
    Format(
        "BUG: failure at ", "bug", "kernel BUG{in}", TRACE, detail=detail(r"[^ ]{1,200}?/(?P<where>\w+)\(\)!")
    ),
    *rows(
        "fault",
        AT,
        {
            "general protection fault": "general protection fault{in}",
            "divide error: ": "divide error{in}",
            "divide_error: ": "divide error{in}",
            "invalid opcode: ": "invalid opcode{in}",
            "stack segment: ": "stack segment fault{in}",
        },
    ),
    *rows(
        "stack",
        AT,
        {
            "double fault: ": "double fault{in}",
            "PANIC: double fault": "double fault{in}",
            "traps: PANIC: double fault": "double fault{in}",
        },
    ),
    *rows(
        "fault",
        AT,
        {
            "alignment check: ": "alignment check{in}",
            "int3: ": "int3{in}",
            "bounds: ": "bounds check{in}",
            "control protection fault: ": "control protection fault{in}",
        },
    ),
    Format("Missing ENDBR: ", "fault", "missing ENDBR{in}", AT, detail=detail(r"(?P<where>[\w.$+/]{1,200})")),
    Format("CFI failure at ", "fault", "CFI failure{in}", AT, detail=detail(r"(?P<where>[\w.$+/]{1,200})")),
    *rows(
        "fault",
        AT,
        {
            "invalid TSS: ": "invalid TSS{in}",
            "segment not present: ": "segment not present{in}",
            "simd exception: ": "simd exception{in}",
            "Unhandled fault: ": "unhandled fault{in}",
            "Unhandled prefetch abort: ": "unhandled fault{in}",
            "Alignment trap: ": "alignment trap{in}",
        },
    ),
    *rows(
        "bug",
        AT,
        {
            "Internal error: Oops - BUG": "kernel BUG{in}",
        },
    ),
    *rows(
        "fault",
        AT,
        {
            "Internal error: Oops - undefined instruction": "invalid opcode{in}",
            "Internal error: ": "internal error{in}",
            "Kernel access of bad area": "bad paging request{in}",
            "Kernel ade access[#": "bad address{in}",
            "Kernel ale access[#": "unaligned access{in}",
            "Kernel unaligned ": "unaligned access{in}",
            "Unhandled kernel unaligned access": "unaligned access{in}",
            "Data bus error, epc ": "bus error{in}",
            "Instruction bus error, epc ": "bus error{in}",
            "Reserved instruction in kernel code": "invalid opcode{in}",
            "Break instruction in kernel code": "break instruction{in}",
        },
    ),
    *rows(
        "bug",
        AT,
        {
            "Kernel bug detected": "kernel BUG{in}",
        },
    ),
    *rows(
        "stack",
        AT,
        {
            "Insufficient stack space to handle exception": "stack overflow{in}",
        },
    ),
    *rows(
        "hardware",
        AT,
        {
            "SError Interrupt on ": "SError{in}",
        },
    ),
    Format("Bad mode in ", "fault", "bad mode{in}", AT, detail=detail(r".{1,40} handler detected")),
    Format(
        "Unhandled ",
        "fault",
        "unhandled exception{in}",
        AT,
        detail=detail(r"\d\d-bit \w{1,12} .{1,32} exception on"),
    ),
    *rows(
        "fault",
        AT,
        {
            "Unexpected kernel BRK exception": "unexpected BRK{in}",
            "Unexpected kernel single-step exception": "unexpected single step{in}",
            "specification exception: ": "specification exception{in}",
            "illegal operation: ": "illegal operation{in}",
            "addressing exception: ": "addressing exception{in}",
            "protection exception: ": "protection exception{in}",
            "privileged operation: ": "privileged operation{in}",
            "operand exception: ": "operand exception{in}",
            "data exception: ": "data exception{in}",
            "execute exception: ": "execute exception{in}",
            "fixpoint divide exception: ": "divide error{in}",
            "fixpoint overflow exception: ": "overflow{in}",
        },
    ),
    *rows(
        "bug",
        AT,
        {
            "monitor event: ": "kernel BUG{in}",
        },
    ),
    *rows(
        "stack",
        AT,
        {
            "stack overflow: ": "stack overflow{in}",
            "kernel stack overflow": "stack overflow{in}",
            "do_IRQ: stack overflow": "stack overflow{in}",
        },
    ),
    *rows(
        "bug",
        TRACE,
        {
            "rust_kernel: panicked at ": "Rust panic: {next}{in}",
        },
    ),
    Format("Oops", "fault", "oops{in}", AT, detail=detail(r"(?:\[#| - |: (?:[0-9a-f]{4}\b|.{1,120}?\[#))")),
)
