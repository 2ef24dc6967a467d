# SPDX-License-Identifier: GPL-2.0-or-later
"""How every template of packaging/templates/ is read."""

from __future__ import annotations

from pathlib import Path

import jinja2

from panicast_build.core.paths import ROOT

# What packages of every family have in common.
SHARED = ROOT / "packaging" / "templates" / "shared"


def environment(*folders: Path, lines: bool = True) -> jinja2.Environment:
    """Templates of folders, the first that has one wins; what they name must be given. With lines, one that
    has nothing but a block leaves none behind."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=lines,
        lstrip_blocks=lines,
        keep_trailing_newline=True,
    )
