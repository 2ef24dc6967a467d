# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares kernel releases: whether a kernel has what another one was the first to have. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

#: A candidate comes before its release.
_CANDIDATE = -1
_NUMBER = re.compile(r"-rc(\d{1,9})|(?<![A-Za-z0-9_])(\d{1,9})")
#: Numbers that name a series, such as 6.12.
_SERIES = 2


def numbers(release: str) -> tuple[int, ...]:
    """Return a release as numbers that are compared one by one: those that follow no letter, so
    neither the 64 of x86_64 nor the 9 of el9. A candidate's are lower than its release's."""
    found: list[int] = []
    for match in _NUMBER.finditer(release):
        found += [_CANDIDATE, int(match[1])] if match[1] else [int(match[2])]
    return tuple(found)


def is_release(text: str) -> bool:
    """Tell whether this looks like a kernel's release, such as 6.12.118-1-amd64."""
    return bool(re.fullmatch(r"\d{1,4}\.\d{1,6}[\w.+~-]{0,100}", text))


def has_fix(release: str, fixed: Sequence[str]) -> bool:
    """Tell whether a kernel is one of these or newer: in its own series if one of them is of that,
    such as 6.12; else newer than all of them, because each series gets a fix of its own."""
    own = numbers(release)
    known = [numbers(one) for one in fixed]
    if not own or not known:
        return False
    of_series = [one for one in known if one[:_SERIES] == own[:_SERIES]]
    return any(_reaches(own, one) for one in of_series) if of_series else own > max(known)


def _reaches(own: tuple[int, ...], other: tuple[int, ...]) -> bool:
    pairs = list(zip_longest(own, other, fillvalue=0))
    return [one for one, _ in pairs] >= [one for _, one in pairs]
