# SPDX-License-Identifier: GPL-2.0-or-later
"""Estimates how often crashes come: rates with confidence intervals, and whether two differ. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

#: Rates are for so many host-days.
PER = 1000
#: Units of the drawing.
WIDTH, HEIGHT = 240, 16
#: Standard deviations of an interval that has the true value 19 times of 20.
_95 = 1.96
#: What one may be beside another, by what ``differs`` says.
BESIDE = ("cannot tell", "more often", "less often")
#: Two differ if less than this is the chance of such a difference between equal ones.
_CHANCE = 0.01
#: From so many on, the normal distribution stands for the binomial one.
_MANY = 1000


class Rate(NamedTuple):
    """Crashes in ``PER`` host-days: between low and high, 19 times of 20."""

    low: float
    value: float
    high: float


class Drawn(NamedTuple):
    """A rate as a line with a mark; ``open`` says that the line goes on beyond the drawing."""

    low: int
    mark: int
    high: int
    open: bool
    label: str
    width: int = WIDTH
    height: int = HEIGHT


def rate(crashes: int, host_days: float) -> Rate | None:
    """Return how often something crashes; None if nothing was heard for any time."""
    if host_days <= 0:
        return None
    # Byar's approximation of the exact Poisson limits.
    low = crashes * (1 - 1 / (9 * crashes) - _95 / (3 * math.sqrt(crashes))) ** 3 if crashes else 0.0
    more = crashes + 1
    high = more * (1 - 1 / (9 * more) + _95 / (3 * math.sqrt(more))) ** 3
    return Rate(*(PER * one / host_days for one in (max(0.0, low), crashes, high)))


def differs(one: tuple[int, float], other: tuple[int, float]) -> int:
    """Return 1 if the first crashes more often than the other, -1 if less often, 0 if nobody can tell.
    Each is how many crashed, and host-days."""
    total, days = one[0] + other[0], one[1] + other[1]
    if not total or one[1] <= 0 or other[1] <= 0:
        return 0
    # Of equal ones, each has its share of the crashes by its share of the days.
    share = one[1] / days
    fewer, more = _below(one[0], total, share), _below(other[0], total, 1 - share)
    if 2 * min(fewer, more) >= _CHANCE:
        return 0
    return 1 if more < fewer else -1


def _below(count: int, total: int, share: float) -> float:
    """Return the chance of at most ``count`` of ``total``, each with this chance."""
    if total > _MANY:
        spread = math.sqrt(total * share * (1 - share)) or 1.0
        return 0.5 * math.erfc((total * share - count - 0.5) / (spread * math.sqrt(2)))
    if not 0 < share < 1:
        return 1.0 if share <= 0 or count >= total else 0.0
    ways = math.lgamma(total + 1)
    return math.fsum(
        math.exp(
            ways
            - math.lgamma(k + 1)
            - math.lgamma(total - k + 1)
            + k * math.log(share)
            + (total - k) * math.log1p(-share)
        )
        for k in range(count + 1)
    )


def compare(found: Sequence[dict[str, Any]], than: str) -> list[dict[str, Any]]:
    """Return what ``ran()`` of db/fleet.py found with the ``rate`` of each, and what it is ``beside``
    the one whose value is ``than``: more often, less often, cannot tell, or nothing."""
    rated = [{**one, "rate": rate(one["crashes"], one["host_days"])} for one in found]
    base = next((one for one in rated if one["value"] == than), None)
    return [{**one, "beside": _beside(one, base)} for one in rated]


def draw(rated: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was compared with drawings on one scale: rates, or shares from none to all."""
    # One that hardly ran would leave the others no room.
    highest = max((3 * one["rate"].value for one in rated if one["rate"] and one["crashes"]), default=0.0)
    highest = min(highest, max((one["rate"].high for one in rated if one["rate"]), default=0.0)) or 1.0
    return [{**one, "plot": _drawn(one["rate"], highest), "bar": _bar(one["share"])} for one in rated]


def _bar(share: float | None) -> Drawn | None:
    if share is None:
        return None
    return Drawn(0, round(WIDTH * share), WIDTH, False, f"{percent(share)} of the hosts")


def _drawn(found: Rate | None, highest: float) -> Drawn | None:
    if found is None:
        return None
    low, mark, high = (min(WIDTH - 1, round((WIDTH - 1) * one / highest)) for one in found)
    label = f"{number(found.value)} in {PER} host-days, between {number(found.low)} and {number(found.high)}"
    return Drawn(low, mark, high, found.high > highest, label)


def _beside(one: dict[str, Any], base: dict[str, Any] | None) -> str:
    if base is None or one is base:
        return ""
    # Each host once: one that crashes again and again says no more of a kernel than one that did once.
    sign = differs((one["crashed"], one["host_days"]), (base["crashed"], base["host_days"]))
    return BESIDE[sign]


def percent(share: float) -> str:
    """Return a share from 0 to 1 as a percentage; what is not quite none or all never reads so."""
    shown = f"{share:.0%}"
    return "<1%" if shown == "0%" and share else ">99%" if shown == "100%" and share < 1 else shown


def number(value: float) -> str:
    """Return a number with two digits that count."""
    if value <= 0:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:,.{min(digits, 6)}f}"
