# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes text from the network safe and readable on a terminal. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase

#: What may be a control character, a direction override or a space of no width: what a hostile host could
#: move a cursor, colour a line or reorder a name with, or have a name that looks like another's. Newline is
#: dealt with by whoever prints lines.
_UNUSUAL = re.compile(r"[^\t -~]")
#: What Unicode calls letters, marks and symbols, though nobody sees them.
_INVISIBLE = frozenset(
    map(
        chr,
        (
            *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        ),
    )
)
_PREFIX = re.compile(r"<(\d{1,4})>")
KERNEL_LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
_COLOURS = ("1;31", "1;31", "1;31", "31", "33", "1", "", "2")
GAP = re.compile(r"\[panicast: \d+ bytes missing\]")


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether a host's name matches one of the patterns (* and ?), ignoring case."""
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def escape(line: str) -> str:
    r"""Return the line without anything that a terminal would act on, or that nobody sees: ESC becomes
    ``\x1b``."""
    return _UNUSUAL.sub(_escaped, line)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    if character.isprintable() and character not in _INVISIBLE:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, most: int) -> str:
    """Return the text, cut if it takes more bytes of UTF-8 than this; then it ends in …."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= most:
        return text
    return data[: most - 3].decode("utf-8", "ignore") + "…"


def newest(text: str, most: int) -> str:
    """Return the text's last lines, as many as fit into so many bytes of UTF-8; then they begin with ….

    The newest lines of a log hold the crash.
    """
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= most:
        return text
    cut = data[-most:]
    return "…\n" + cut[cut.find(b"\n") + 1 :].decode("utf-8", "ignore")


def render_log(text: bytes, colour: bool) -> str:
    """Return kernel log text for reading: ``<6>`` prefixes as words, everything escaped, optionally
    coloured."""
    lines = text.decode("utf-8", "backslashreplace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return "".join(_render_line(line, colour) + "\n" for line in lines)


def split_level(line: str) -> tuple[str, str]:
    """Return a line's level as a word (empty if it has none), and the rest of the line."""
    prefix = _PREFIX.match(line)
    # The number is facility * 8 + level.
    return (KERNEL_LEVELS[int(prefix.group(1)) & 7], line[prefix.end() :]) if prefix else ("", line)


def _render_line(line: str, colour: bool) -> str:
    word, rest = split_level(line)
    gap = GAP.fullmatch(line)
    code = _COLOURS[KERNEL_LEVELS.index(word)] if word else ("7" if gap else "")
    rendered = escape(rest) if gap else f"{word:<6} {escape(rest)}"
    return f"\x1b[{code}m{rendered}\x1b[0m" if colour and code else rendered


def iso_time(time_ns: int | None) -> str | None:
    """Return nanoseconds since the epoch as RFC 3339 in UTC with nine digits; None stays None."""
    if time_ns is None:
        return None
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
    return f"{moment.isoformat()}.{nanoseconds:09d}Z"


def nanoseconds(iso: str) -> int:
    """Return the nanoseconds since the epoch of such a text."""
    whole, _, fraction = iso.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])


def ago(time_ns: int, now_ns: int) -> str:
    """Return how long ago that was, in the largest unit that fits: ``5 min ago``."""
    seconds = (now_ns - time_ns) // 1_000_000_000
    if seconds < 0:
        return "ahead of our clock"
    unit, length = next(
        (unit, length) for unit, length in _LENGTHS.items() if seconds >= length or length == 1
    )
    return f"{seconds // length:,} {unit} ago"


def span(seconds: int) -> str:
    """Return a length of time in the largest unit that fits and the next one: ``3 d 20 h``."""
    parts: list[str] = []
    for unit, length in _LENGTHS.items():
        number, seconds = divmod(seconds, length)
        if number or parts or length == 1:
            parts.append(f"{number:,} {unit}")
    return " ".join(parts[:2])


#: Units that people read, the longest first, in seconds.
_LENGTHS = {"d": 86400, "h": 3600, "min": 60, "s": 1}
_AGE = re.compile(r"([0-9]{1,9})([smhdw])")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: What SQLite can hold.
_LATEST_NS = (1 << 63) - 1


def parse_when(text: str) -> int:
    """Return ``2h`` ago, or an ISO date or time (UTC by default), in nanoseconds since the epoch.

    Raises ValueError with a sentence.
    """
    return _moment(text, -1)


def parse_ahead(text: str) -> int:
    """Return the same of a time to come: ``2h`` from now."""
    return _moment(text, 1)


def _moment(text: str, way: int) -> int:
    if ago := _AGE.fullmatch(text):
        moment_ns = time.time_ns() + way * int(ago[1]) * _UNITS[ago[2]] * 1_000_000_000
    else:
        try:
            moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text.replace("Z", "+00:00")))
        except ValueError:
            raise ValueError(
                f"{text!r} is neither an age such as 30m, 2h or 7d nor a time such as 2026-11-23T20:00"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        moment_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return max(0, min(_LATEST_NS, moment_ns))
