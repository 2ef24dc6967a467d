# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are never seen half-written."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, text: str) -> None:
    """Writes beside path, then renames."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)
