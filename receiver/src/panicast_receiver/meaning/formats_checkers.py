# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel's checkers of memory say: KASAN, KMSAN, UBSAN, the allocators. Data."""

from __future__ import annotations

from .format import TRACE, Format, detail, rows
from .innocent import LEAKING, PAGES, SCHEDULED

ROWS = (
    Format(
        "BUG: KASAN: ",
        "memory corruption",
        "KASAN: {what}{access}{in}",
        TRACE,
        detail=detail(
            r"(?P<what>[\w-]+(?: or [\w-]+| in [\w-]+-access)?) (?:in|on) (?P<where>[^ ,]{1,200})?"
        ),
    ),
    Format(
        "BUG: KASan: ",
        "memory corruption",
        "KASAN: {what}{access}{in}",
        TRACE,
        detail=detail(r"(?P<what>[\w-]+(?: [\w-]+){0,4}) (?:in|on) (?P<where>[^ ,]{1,200})?"),
    ),
    Format(
        "BUG: KFENCE: ",
        "memory corruption",
        "KFENCE: {what}{in}",
        TRACE,
        detail=detail(r"(?P<what>[\w-]+(?: [\w-]+){0,3}) (?:in|on) (?P<where>[^ ,]{1,200})?"),
    ),
    Format(
        "BUG: KMSAN: ",
        "memory corruption",
        "KMSAN: {what}{in}",
        TRACE,
        detail=detail(r"(?P<what>[\w-]+) (?:in|on) (?P<where>[^ ,]{1,200})?"),
    ),
    Format(
        "BUG: KCSAN: ",
        "race",
        "KCSAN: {what} in {where}",
        TRACE,
        detail=detail(r"(?P<what>[\w-]+(?:: race)?) in (?P<where>.{1,400})"),
    ),
    Format(
        "UBSAN: ",
        "undefined",
        "UBSAN: {what}{in}",
        TRACE,
        detail=detail(r"(?P<what>[\w-]+(?: [\w-]+){0,3}) in "),
    ),
    *rows(
        "leak",
        ("backtrace",),
        {
            "BUG: memory leak": "memory leak{in}",
            "unreferenced object 0x": "memory leak{in}",
        },
        LEAKING,
    ),
    *rows(
        "memory corruption",
        TRACE,
        {
            "BUG: Bad page state ": "bad page state{in}",
        },
        PAGES,
    ),
    *rows(
        "memory corruption",
        TRACE,
        {
            "BUG: Bad page map ": "bad page map{in}",
            "BUG: Bad page cache ": "bad page cache{in}",
        },
    ),
    *rows(
        "memory corruption",
        (),
        {
            "BUG: Bad rss-counter state": "bad rss-counter state",
            "BUG: non-zero pgtables_bytes": "pgtables left behind",
            "BUG: non-zero nr_p": "pgtables left behind",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "bad: scheduling from the idle thread": "scheduling from the idle thread{in}",
        },
        SCHEDULED,
    ),
)
