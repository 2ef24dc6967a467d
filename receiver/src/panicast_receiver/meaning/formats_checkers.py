# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of the kernel's memory checkers: KASAN, KMSAN, UBSAN, the allocators. Data."""

from __future__ import annotations

from .format import TRACE, Format, detail, rows
from .innocent import ATOMIC, FREEING, LEAKED_TO_USB, LEAKING, PAGES, TAGS, UNDEFINED, UNINIT

#: A function has an offset. Without one it was inlined, and others would not name it.
_WHERE = r" (?:in|on) (?P<where>[^ ,]{1,200}\+0x[0-9a-f]+|[\w.$]{1,200}$)?"

ROWS = (
    Format(
        "BUG: KASAN: ",
        "memory corruption",
        "KASAN: invalid-free{in}",
        TRACE,
        FREEING,
        detail(r"(?:double-free or invalid-free|double-free|invalid-free)" + _WHERE),
    ),
    Format(
        "BUG: KASAN: ",
        "memory corruption",
        "KASAN: {what}{access}{in}",
        TRACE,
        TAGS,
        detail(r"(?P<what>[\w-]+(?: or [\w-]+| in [\w-]+-access)?)" + _WHERE),
    ),
    Format(
        "BUG: KASan: ",
        "memory corruption",
        "KASAN: {what}{access}{in}",
        TRACE,
        TAGS,
        detail(r"(?P<what>[\w-]+(?: [\w-]+){0,4})" + _WHERE),
    ),
    Format(
        "BUG: KFENCE: ",
        "memory corruption",
        "KFENCE: {what}{in}",
        TRACE,
        detail=detail(r"(?P<what>[\w-]+(?: [\w-]+){0,3})" + _WHERE),
    ),
    Format(
        "BUG: KMSAN: ",
        "memory corruption",
        "KMSAN: {what}{in}",
        ("trace", "named"),
        LEAKED_TO_USB,
        detail(r"(?P<what>kernel-usb-infoleak[\w-]*)" + _WHERE),
    ),
    Format(
        "BUG: KMSAN: ",
        "memory corruption",
        "KMSAN: {what}{in}",
        ("trace", "named"),
        UNINIT,
        detail(r"(?P<what>[\w-]+)" + _WHERE),
    ),
    Format(
        "BUG: KCSAN: ",
        "race",
        "KCSAN: {what} in {where}",
        TRACE,
        detail=detail(r"(?P<what>[\w-]+(?:: race)?) in (?P<where>.{1,400})"),
    ),
    Format(
        "UBSAN: Undefined behaviour in ",
        "undefined",
        "UBSAN: undefined-behaviour{in}",
        ("trace",),
        UNDEFINED,
    ),
    Format(
        "UBSAN: ",
        "undefined",
        "UBSAN: {what}{in}",
        ("trace",),
        UNDEFINED,
        detail(r"(?P<what>[\w-]+(?: [\w-]+){0,3}) in "),
    ),
    *rows(
        "leak",
        ("trace",),
        {
            "BUG: memory leak": "memory leak{in}",
            "unreferenced object 0x": "memory leak{in}",
        },
        LEAKING,
    ),
    *rows(
        "memory corruption",
        ("allocated", "trace"),
        {
            "BUG: Bad page state ": "bad page state{in}",
            "BUG: Bad page cache ": "bad page cache{in}",
        },
        PAGES,
    ),
    *rows(
        "memory corruption",
        TRACE,
        {
            "BUG: Bad page map ": "bad page map{in}",
        },
    ),
    *rows(
        "memory corruption",
        (),
        {
            "BUG: Bad rss-counter state": "bad rss-counter state",
        },
    ),
    Format(
        "BUG: non-zero ",
        "memory corruption",
        "{what} left behind",
        (),
        detail=detail(r"(?P<what>\w{1,32}) on "),
    ),
    *rows(
        "locking",
        TRACE,
        {
            "bad: scheduling from the idle thread": "scheduling from the idle thread{in}",
        },
        ATOMIC,
    ),
)
