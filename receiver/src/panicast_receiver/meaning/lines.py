# SPDX-License-Identifier: GPL-2.0-or-later
"""A log in lines: what printk and those who carried the line put before it, taken off. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Longer lines say nothing more: printk cuts its own at 1 KiB.
MOST_LINE = 1024
#: Whoever carried the line: syslog of old and of now, journalctl, logread, dmesg -x; /dev/kmsg.
_CARRIER = (
    r"(?:(?:(?:(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9}| \d{4})?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) "
    r"(?:[^\s:,]{1,64} ){0,2})?(?:kernel: ?|\d{1,3},\d{1,20},\d{1,20},[^;\s]{1,80};)"
    r"|(?:kern|user|daemon) {0,2}:[a-z]{3,6} {0,3}: )?"
)
#: Level, time (also dmesg -T's), with CONFIG_PRINTK_CALLER who logged it, ours as T12 or C3, vendors' as
#: T1@C0.
_STAMP = re.compile(
    _CARRIER + r"(?:<\d{1,4}>)?"
    r"(?:\[ {0,12}(\d{1,10}\.\d{1,9})\]|\[[^\W\d]{2,4} [^\W\d]{3,5} [ \d]\d \d\d:\d\d:\d\d \d{4}\])?"
    r"(?: ?\[ {0,12}([TC]\d{1,10}(?:@C\d{1,5})?)\])?"
    r" ?"
)
#: The console may have had something in its line already, or another CPU.
_LATE = re.compile(r"\[ {0,5}\d{1,6}\.\d{6}\](?: ?\[ {0,12}([TC]\d{1,10}(?:@C\d{1,5})?)\])? ")
#: Colours and the like, as terminals take them; and what a serial console adds.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]|[\r\x00]")
_GAP_ENDS = "bytes missing]"


class Line(NamedTuple):
    """``text`` has no stamp; ``caller`` and ``stamp`` are empty where the line states none."""

    text: str
    caller: str
    stamp: str


_BLANK = Line("", "", "")
#: Nothing is said in fewer characters. Without a bracket only these may begin what was put before a line.
_SHORTEST, _DRESSED = 4, frozenset("<0123456789JFMASONDTWk")


def split_stamp(line: str) -> tuple[str, str]:
    """A line's level prefix and time stamp, and the rest of it."""
    stamp = _STAMP.match(line)
    end = stamp.end() if stamp else 0
    return line[:end], line[end:]


def read(text: str) -> list[Line]:
    """All lines of a record. What follows a gap up to the end of its line is the rest of a line: half a
    symbol is none."""
    if "\x1b" in text or "\r" in text or "\x00" in text:
        text = _ESCAPES.sub("", text)
    found: list[Line] = []
    after_gap = False
    add = found.append
    match = _STAMP.match
    for line in text.split("\n"):
        if len(line) < _SHORTEST:
            after_gap = False
            add(_BLANK)
            continue
        if after_gap:
            after_gap = False
            add(_BLANK)
            continue
        if "[" not in line and line[0] not in _DRESSED:
            add(Line(line[:MOST_LINE], "", ""))
            continue
        if line.startswith("[panicast: ") and line.endswith(_GAP_ENDS):
            after_gap = True
            add(_BLANK)
            continue
        line = line[:MOST_LINE]
        stamp = match(line)
        if stamp and stamp.end() < 8 and "[" in line and (late := _LATE.search(line)):
            add(Line(line[late.end() :], late[1] or "", ""))
        elif stamp:
            add(Line(line[stamp.end() :], stamp[2] or "", stamp[1] or ""))
        else:
            add(Line(line, "", ""))
    return found
