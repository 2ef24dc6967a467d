# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the templates of packaging/templates/."""

from __future__ import annotations

from pathlib import Path

import jinja2

from panicast_build.core.paths import ROOT

# What packages of every family have in common.
SHARED = ROOT / "packaging" / "templates" / "shared"


def environment(*folders: Path, lines: bool = True) -> jinja2.Environment:
    """Returns an environment with the templates of folders; the first folder that has a template
    wins. Undefined names are errors. With lines, a line that holds only a block disappears."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=lines,
        lstrip_blocks=lines,
        keep_trailing_newline=True,
    )
