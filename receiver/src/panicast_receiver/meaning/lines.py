# SPDX-License-Identifier: GPL-2.0-or-later
"""A log in lines: what printk and those who carried the line put before it, taken off. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Longer lines say nothing more: printk cuts its own at 1 KiB.
MOST_LINE = 1024
#: Whoever carried the line (syslog, /dev/kmsg), level, time (also dmesg -T's), with CONFIG_PRINTK_CALLER
#: who logged it, ours as T12 or C3, vendors' as T1@C0.
_STAMP = re.compile(
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [^\s:]{1,64} kernel: |\d{1,3},\d{1,20},\d{1,20},[^;\s]{1,80};)?"
    r"(?:<\d{1,4}>)?"
    r"(?:\[ {0,12}(\d{1,10}\.\d{1,9})\]|\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\])?"
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
    found = []
    after_gap = False
    match = _STAMP.match
    for line in text.split("\n"):
        if after_gap:
            after_gap = False
            line = ""
        elif line.endswith(_GAP_ENDS) and line.startswith("[panicast: "):
            after_gap = True
            line = ""
        line = line[:MOST_LINE]
        stamp = match(line)
        if stamp and stamp.end() < 8 and "[" in line and (late := _LATE.search(line)):
            found.append(Line(line[late.end() :], late[1] or "", ""))
        elif stamp:
            found.append(Line(line[stamp.end() :], stamp[2] or "", stamp[1] or ""))
        else:
            found.append(Line(line, "", ""))
    return found
