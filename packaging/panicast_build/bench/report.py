# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/benchmarks.md and its plot, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pygal
from pygal.style import CleanStyle

from panicast_build.paths import ROOT

TEMPLATE = ROOT / "packaging" / "templates" / "docs" / "benchmarks.md"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "benchmarks-panic.svg"


def write(document: Path = DOCUMENT, **figures: Any) -> None:
    """Renders the document with figures, and today's date. Every figure that the template names is needed."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text())
    _replace(document, template.render(date=datetime.now(UTC).strftime("%Y-%m-%d"), **figures) + "\n")


def plot(rows: Sequence[tuple[str, dict[str, float]]], plot: Path = PLOT) -> None:
    """A bar for each sender in each row: percent of the panics that arrived."""
    chart = pygal.HorizontalBar(
        title="Panics whose panic line and trace arrived, %",
        style=CleanStyle(background="white"),
        range=(0, 100),
        legend_at_bottom=True,
        height=120 + 60 * len(rows),
        # Readers of a repository see a picture, not a page: no script, no font from elsewhere.
        js=[],
    )
    chart.x_labels = [label for label, _ in rows]
    senders = list(dict.fromkeys(sender for _, shares in rows for sender in shares))
    for sender in senders:
        chart.add(sender, [shares.get(sender) for _, shares in rows])
    _replace(plot, chart.render(disable_xml_declaration=True, is_unicode=True) + "\n")


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)
