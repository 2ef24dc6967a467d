# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel log in lines that a page can show: level, stamp, rest, and what the line is. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ..meaning import beginning, kind_of, split_stamp
from ..text import GAP, escape, split_level


class Line(NamedTuple):
    """``level`` is one of LEVELS or empty; ``kind`` is what meaning.kind_of says of lines of the crash, or
    ``gap``."""

    level: str
    kind: str
    stamp: str
    text: str


class Log(NamedTuple):
    """``crash`` is the number of the line with which the crash begins, None where there is none."""

    lines: list[Line]
    crash: int | None


def read(text: bytes) -> Log:
    """Each line with control characters escaped; to be escaped again for where it is shown."""
    whole = text.decode("utf-8", "backslashreplace").removesuffix("\n")
    parts = [split_stamp(line) for line in whole.split("\n")]
    begin = beginning(whole)
    return Log(
        [_line(head, rest, begin is not None and n >= begin) for n, (head, rest) in enumerate(parts)], begin
    )


def _line(head: str, rest: str, in_crash: bool) -> Line:
    if GAP.fullmatch(rest):
        return Line("", "gap", "", rest)
    level, stamp = split_level(head)
    return Line(level, kind_of(rest) if in_crash else "", escape(stamp), escape(rest))
