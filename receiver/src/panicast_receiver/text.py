# SPDX-License-Identifier: GPL-2.0-or-later
"""Text from the network made safe and readable on a terminal. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone

#: Control characters, direction overrides and line separators: what a hostile host could move a cursor,
#: colour a line or reorder a name with. Newline is dealt with by whoever prints lines.
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_PREFIX = re.compile(r"<(\d{1,4})>")
LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
_COLOURS = ("1;31", "1;31", "1;31", "31", "33", "1", "", "2")
_GAP = re.compile(r"\[panicast: \d+ bytes missing\]")


def escape(line: str) -> str:
    r"""One line without anything a terminal would act on: ESC comes out as ``\x1b``."""
    return _UNSAFE.sub(_escaped, line)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def render_log(text: bytes, colour: bool) -> str:
    """Kernel log text for reading: the ``<6>`` prefixes as words, everything escaped, coloured on wish."""
    lines = text.decode("utf-8", "backslashreplace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return "".join(_render_line(line, colour) + "\n" for line in lines)


def _render_line(line: str, colour: bool) -> str:
    prefix = _PREFIX.match(line)
    # The number is facility * 8 + level.
    level = int(prefix.group(1)) & 7 if prefix else None
    body = escape(line[prefix.end() :] if prefix else line)
    word = LEVELS[level] if level is not None else ""
    code = _COLOURS[level] if level is not None else ("7" if _GAP.fullmatch(line) else "")
    rendered = f"{word:<6} {body}" if not _GAP.fullmatch(line) else body
    return f"\x1b[{code}m{rendered}\x1b[0m" if colour and code else rendered


def iso_time(time_ns: int | None) -> str | None:
    """Nanoseconds since the epoch as RFC 3339 in UTC with all nine digits; None stays None."""
    if time_ns is None:
        return None
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
