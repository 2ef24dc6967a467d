# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the pages of docs/ that tasks make from what they measured."""

from __future__ import annotations

from typing import Any

from panicast_build.core import files, templating
from panicast_build.core.paths import ROOT

DOCS = ROOT / "docs"
TEMPLATES = ROOT / "packaging" / "templates" / "docs"


def write(name: str, **figures: Any) -> None:
    """Renders docs/NAME from its template. Every value that the template names must be given."""
    template = templating.environment(TEMPLATES).get_template(name)
    files.write(DOCS / name, template.render(**figures))
