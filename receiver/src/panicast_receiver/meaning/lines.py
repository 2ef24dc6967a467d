# SPDX-License-Identifier: GPL-2.0-or-later
"""Splits a log into lines and removes what printk and other carriers put in front. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

#: Lines are cut at this length: printk cuts its own at 1 KiB.
MOST_LINE = 1024
#: Prefixes of carriers: syslog, old and new, journalctl, logread, dmesg -x, /dev/kmsg.
_CARRIER = (
    r"(?:(?:(?:<\d{1,4}>)?(?:1 )?"
    r"(?:(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9}| \d{4})?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) "
    r"(?:[^\s,]{1,64} ){0,2})?"
    r"(?: ?kernel(?:: ?| - - (?:- )?)|\d{1,3},\d{1,20},\d{1,20},[^;\s]{1,80};)"
    r"|(?:kern|user|daemon) {0,2}:[a-z]{3,6} {0,3}: )?"
)
#: Level, time (also dmesg -T's), and with CONFIG_PRINTK_CALLER the caller: T12 or C3, in vendors'
#: kernels T1@C0.
_STAMP = re.compile(
    _CARRIER + r"(?:<\d{1,4}>)?"
    r"(?:\[ {0,12}(\d{1,10}\.\d{1,9})\]|\[[^\W\d]{2,4} [^\W\d]{3,5} [ \d]\d \d\d:\d\d:\d\d \d{4}\])?"
    r"(?: ?\[ {0,12}([TC]\d{1,10}(?:@C\d{1,5})?)\])?"
    r" ?"
)
#: The usual form, if only the kernel put something before the line.
_USUAL = re.compile(
    r"(?:<\d{1,4}>)?\[ {0,12}(\d{1,10}\.\d{1,9})\](?: ?\[ {0,12}([TC]\d{1,10}(?:@C\d{1,5})?)\])? "
)
#: A stamp later in the line: the console, or another CPU, had already written something there.
_LATE = re.compile(r"\[ {0,5}(\d{1,6}\.\d{6})\](?: ?\[ {0,12}([TC]\d{1,10}(?:@C\d{1,5})?)\])? ")
#: Colours and the like, as terminals take them; and what a serial console adds.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]|[\r\x00]")
_GAP_ENDS = "bytes missing]"
#: A line without a bracket, a semicolon and the word kernel has a prefix only if it begins with one
#: of these.
_DRESSED = frozenset("<0123456789kud")


class Line(NamedTuple):
    """A line of a log: ``text`` without its stamp; ``caller`` and ``stamp``, empty if the line has
    none; and ``number``, its place in the record, from 0."""

    text: str
    caller: str
    stamp: str
    number: int


#: Numbers and blanks differ in the prefixes of one carrier. A prefix has at most so many
#: characters, and at least so many lines must have it.
_DIFFERS = re.compile(r"(\d+|[ \t]+)")
_MOST_BEFORE, _FEWEST_LINES = 160, 2
#: Shorter lines say nothing.
_SHORTEST = 6


def split_stamp(line: str) -> tuple[str, str]:
    """Return a line's level prefix and time stamp, and the rest of it."""
    stamp = _STAMP.match(line)
    end = stamp.end() if stamp else 0
    return line[:end], line[end:]


def read(text: str) -> list[Line]:
    """Return the lines of a record's text, except empty ones.

    What follows a gap is left out up to the next line, because half a name means nothing.
    """
    if "\x1b" in text or "\r" in text or "\x00" in text:
        text = _ESCAPES.sub("", text)
    found: list[Line] = []
    after_gap = -1
    add, make, match = found.append, tuple.__new__, _STAMP.match
    usual = _USUAL.match
    for number, line in enumerate(text.split("\n")):
        if len(line) < _SHORTEST or number == after_gap:
            continue
        if len(line) > MOST_LINE:
            line = line[:MOST_LINE]
        if "[" not in line:
            if line[0] not in _DRESSED and "kernel:" not in line and ";" not in line:
                add(make(Line, (line, "", "", number)))
                continue
        elif line.startswith("[panicast: ") and line.endswith(_GAP_ENDS):
            after_gap = number + 1
            continue
        elif stamp := usual(line):
            add(make(Line, (line[stamp.end() :], stamp[2] or "", stamp[1], number)))
            continue
        stamp = match(line)
        # Each part may be missing, so something always matches.
        assert stamp is not None
        end = stamp.end()
        if end < 8 and "[" in line and (late := _LATE.search(line)):
            add(make(Line, (line[late.end() :], late[2] or "", late[1], number)))
        else:
            add(make(Line, (line[end:], stamp[2] or "", stamp[1] or "", number)))
    return found


def without(lines: Sequence[Line], before: str) -> list[Line]:
    """Return the lines without what a carrier put before each: a time, a host, a container.

    ``before`` is what stands before one of them; others may have other numbers in it. Returns an
    empty list if too few lines have it.
    """
    if len(before) > _MOST_BEFORE:
        return []
    parts = _DIFFERS.split(before)
    parts[0::2] = [re.escape(part) for part in parts[0::2]]
    parts[1::2] = [r"\d{1,40}" if part[0].isdigit() else r"[ \t]{1,40}" for part in parts[1::2]]
    match = re.compile("".join(parts)).match
    found = []
    carried = 0
    for line in lines:
        if has := match(line.text):
            carried += 1
            _, text = split_stamp(line.text[has.end() :])
            line = line._replace(text=text)
        found.append(line)
    return found if carried >= _FEWEST_LINES else []
