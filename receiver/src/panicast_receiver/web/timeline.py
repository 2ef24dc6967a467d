# SPDX-License-Identifier: GPL-2.0-or-later
"""A small plot of when something happened: bars over time, as numbers that a template draws. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..text import iso_time

STRETCHES = 48
#: Units of the drawing: a bar with its gap, a bar, the height of the highest.
STEP, BAR, HEIGHT = 5, 4, 28
_LOWEST = 3
_NS = 1_000_000_000


class Bar(NamedTuple):
    """One interval in which something happened."""

    x: int
    y: int
    height: int


class Scale(NamedTuple):
    """The intervals that all plots of a page share."""

    start_ns: int
    width_ns: int


class Plot(NamedTuple):
    """``label`` says in words what the bars show."""

    bars: list[Bar]
    label: str
    width: int = STRETCHES * STEP
    height: int = HEIGHT
    bar: int = BAR


def scale(first_ns: int, now_ns: int) -> Scale:
    """Return the scale from the first event until now; at least an hour, so that a new event does
    not fill the plot."""
    start = max(0, min(first_ns, now_ns - 3600 * _NS))
    return Scale(start, max(1, (now_ns - start) // STRETCHES + 1))


def plot(counts: Mapping[int, int], scale: Scale, most: int = 0) -> Plot:
    """Return a plot of ``counts``, by interval. Events in the future are drawn in the last one.
    ``most`` has a full bar, in all plots that share it; 0: the most of this plot."""
    highest = max(counts.values(), default=1)
    bars: dict[int, Bar] = {}
    for stretch, count in sorted(counts.items()):
        height = max(_LOWEST, round(HEIGHT * count / (most or highest)))
        at = min(max(0, stretch), STRETCHES - 1)
        bars[at] = Bar(at * STEP, HEIGHT - height, height)
    total = sum(counts.values())
    since = (iso_time(scale.start_ns) or "")[:16].replace("T", " ")
    return Plot(
        list(bars.values()),
        f"{total} record{'' if total == 1 else 's'} since {since} UTC, at most {highest} at once",
    )
