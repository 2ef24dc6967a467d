# SPDX-License-Identifier: GPL-2.0-or-later
"""Notices that another file has the database's name: an open file stays open when somebody moves,
deletes or replaces it, and nobody would find what is written to it then."""

from __future__ import annotations

import contextlib
from pathlib import Path


class NamedFile:
    """Remembers which file had a name when this was created."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was = self._now()

    def changed(self) -> bool:
        """Tell whether another file has the name now, or none."""
        return self._was != self._now()

    def clear(self) -> None:
        """Delete the name if the same file still has it. Raises OSError."""
        if not self.changed():
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def _now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
