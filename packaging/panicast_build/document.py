# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of docs/ that tasks write from what they measured."""

from __future__ import annotations

from typing import Any

import jinja2

from panicast_build import files
from panicast_build.paths import ROOT

DOCS = ROOT / "docs"
TEMPLATES = ROOT / "packaging" / "templates" / "docs"


def write(name: str, **figures: Any) -> None:
    """Renders docs/NAME from its template; every figure that the template names must be there."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    files.write(DOCS / name, environment.get_template(name).render(**figures))
