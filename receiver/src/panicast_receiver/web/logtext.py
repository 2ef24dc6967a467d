# SPDX-License-Identifier: GPL-2.0-or-later
"""Splits a kernel log into lines that a page can show: level, stamp, text, and what the line is.
Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from ..meaning import beginning, kind_of, split_stamp
from ..text import GAP, escape, split_level

#: A page shows so much of a text: a usual record is one part.
PART_LINES, PART_BYTES = 2000, 192 << 10
#: printk cuts its own lines at 1 KiB: what follows is shown, but not analysed.
_LOOKED_AT = 1024
#: Used only where there are so many: then nothing is looked at twice.
_LINES = re.compile(rb"(?:[^\n]*\n){%d}" % PART_LINES)
_PANIC = b"Kernel panic - not syncing: "


class ShownLine(NamedTuple):
    """A line of a log. ``level`` is one of KERNEL_LEVELS or empty. ``kind`` is what meaning.kind_of says
    of a line of the crash, or ``gap``."""

    level: str
    kind: str
    stamp: str
    text: str


class Log(NamedTuple):
    """The lines of a text. ``crash`` is the number of the line with which the crash begins, or
    None."""

    lines: list[ShownLine]
    crash: int | None


class Part(NamedTuple):
    """A part of a text that fits on a page: its bytes, its number, and how many parts there are
    (``total``). ``panic`` is the part that has the panic line, or 0. Parts are numbered from 1."""

    data: bytes
    number: int
    total: int
    panic: int


def part(text: bytes, number: int | None) -> Part:
    """Return the part with this number, or the last one if there are fewer. None: the one that has
    the panic, or the first."""
    starts = [0]
    while (end := _end(text, starts[-1])) < len(text):
        starts.append(end)
    ends = [*starts[1:], len(text)]
    panic = text.rfind(_PANIC)
    holder = bisect_right(starts, panic) if panic >= 0 else 0
    at = min(max(1, holder if number is None else number), len(starts))
    return Part(text[starts[at - 1] : ends[at - 1]], at, len(starts), holder)


def _end(text: bytes, start: int) -> int:
    """Return where the part that begins here ends: after a line, unless the line is as long as a
    part."""
    limit = min(len(text), start + PART_BYTES)
    if text.count(b"\n", start, limit) > PART_LINES:
        found = _LINES.match(text, start, limit)
        return found.end() if found else limit
    return limit if limit == len(text) else text.rfind(b"\n", start, limit) + 1 or limit


def read(text: bytes) -> Log:
    """Return the lines with control characters escaped; escape them again for where they are shown."""
    whole = text.decode("utf-8", "backslashreplace").removesuffix("\n")
    lines = whole.split("\n")
    parts = [split_stamp(line[:_LOOKED_AT]) for line in lines]
    begin = beginning(whole)
    return Log(
        [
            _line(head, rest, line[_LOOKED_AT:], begin is not None and n >= begin)
            for n, (line, (head, rest)) in enumerate(zip(lines, parts))
        ],
        begin,
    )


def _line(head: str, rest: str, more: str, in_crash: bool) -> ShownLine:
    if not more and GAP.fullmatch(rest):
        return ShownLine("", "gap", "", rest)
    level, stamp = split_level(head)
    return ShownLine(level, kind_of(rest) if in_crash else "", escape(stamp), escape(rest + more))
