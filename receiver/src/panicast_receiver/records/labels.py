# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels of hosts, such as rack, owner and role: the lines that give them, and how they are asked for.
Pure.

A line has a host's name, in which * and ? stand for other characters, and NAME=VALUE for each label:

*            owner=ops
db-*         role=database owner="data base team"
db-03        rack=r12 owner=

What a later line says of the same name holds. Without a value a host has no such label.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..errors import UsageError
from ..text import escape, matches

#: Bytes of all lines; labels that they give; patterns among the hosts' names; names of labels.
MOST_BYTES, MOST_RULES, MOST_PATTERNS, MOST_NAMES = 16 << 20, 200_000, 1000, 16
#: Characters of a host's name and of a value.
_LONGEST_HOST, _LONGEST_VALUE = 255, 64
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,31}")
#: A word as a shell quotes it, or what a quotation mark that is never closed begins.
_WORD = re.compile(r"""(?:\\["']|[^\s"']|'[^']*(?:'|$)|"(?:[^"\\]|\\.?)*(?:"|$))+""", re.DOTALL)


class Rule(NamedTuple):
    """A label that hosts get, by a name or a pattern; "" takes it away."""

    pattern: str
    name: str
    value: str

    @property
    def is_pattern(self) -> bool:
        """Tell whether the rule is for more than one host."""
        return "*" in self.pattern or "?" in self.pattern


def parse(text: str, where: str) -> list[Rule]:
    """Return what the lines say. Raises UsageError, which names ``where`` and the line."""
    found: list[Rule] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            found += _line(line)
        except ValueError as error:
            raise UsageError(f"{where}: line {number}: {error}") from None
        if len(found) > MOST_RULES:
            raise UsageError(f"{where}: more than {MOST_RULES:,} labels; use patterns such as db-*")
    if sum(rule.is_pattern for rule in found) > MOST_PATTERNS:
        raise UsageError(f"{where}: more than {MOST_PATTERNS:,} labels of patterns; name the hosts")
    names = sorted({rule.name for rule in found})
    if len(names) > MOST_NAMES:
        raise UsageError(
            f"{where}: {len(names)} names of labels ({', '.join(names[:3])}, …); there may be {MOST_NAMES}"
        )
    return found


def _line(line: str) -> list[Rule]:
    words = list(_words(line))
    if not words:
        return []
    host = words[0]
    if not host or "=" in host or len(host) > _LONGEST_HOST:
        raise ValueError(f"it must begin with a host's name or a pattern, not {_short(host)}")
    return [Rule(host, *split(word)) for word in words[1:]]


def _words(line: str) -> Iterator[str]:
    """Yield the words before a comment, without their quotation marks. Raises ValueError."""
    for found in _WORD.finditer(line):
        word = found[0]
        if word.startswith("#"):
            return
        # Only where it must be: shlex takes a hundred times as long, and to it any # begins a comment.
        yield shlex.split(word)[0] if '"' in word or "'" in word else word


def split(word: str) -> tuple[str, str]:
    """Return name and value of NAME=VALUE. Raises ValueError with a sentence."""
    name, equals, value = word.partition("=")
    if not equals or not _NAME.fullmatch(name.lower()):
        raise ValueError(f"{_short(word)} is not a label; right is NAME=VALUE, such as rack=r12")
    if len(value) > _LONGEST_VALUE or not value.isprintable():
        raise ValueError(
            f"the value of {name} is wrong; right are at most {_LONGEST_VALUE} characters that can be printed"
        )
    return name.lower(), value


def _short(word: str) -> str:
    return repr(word[:40])


def shown(labels: Mapping[str, str]) -> str:
    """Return the labels of a host in one line."""
    return escape(" ".join(f"{name}={value}" for name, value in labels.items()))


def fit(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """Tell whether a host has, of each name in NAME=PATTERN, a value that one of its patterns fits."""
    patterns: dict[str, list[str]] = {}
    for name, pattern in map(split, wanted):
        patterns.setdefault(name, []).append(pattern)
    return all(matches(labels.get(name, ""), some) for name, some in patterns.items())
