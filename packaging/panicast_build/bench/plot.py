# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws the pictures of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pygal
from pygal.style import CleanStyle

from panicast_build.core import document, files


def bars(name: str, title: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> None:
    """Writes docs/NAME, an SVG with a bar for each key of each row, in percent."""
    chart = pygal.HorizontalBar(
        title=title,
        style=CleanStyle(background="white"),
        range=(0, 100),
        legend_at_bottom=True,
        height=120 + 60 * len(rows),
        # Readers of a repository see a picture, not a page: no script from elsewhere.
        js=[],
    )
    # From the bottom up, so that it reads like the table.
    chart.x_labels = [label for label, _ in reversed(rows)]
    for key in dict.fromkeys(key for _, shares in rows for key in shares):
        chart.add(key, [shares.get(key) for _, shares in reversed(rows)])
    files.write(document.DOCS / name, chart.render(is_unicode=True) + "\n")
