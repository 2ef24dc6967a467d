# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file has a name: one that is open stays open when somebody moves it, deletes it or puts another one
in its place, and what is written then is found by nobody."""

from __future__ import annotations

import contextlib
from pathlib import Path


class NamedFile:
    """A name, and the file that has it when this is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was = self._now()

    def changed(self) -> bool:
        """Whether another file has the name now, or none."""
        return self._was != self._now()

    def clear(self) -> None:
        """Delete the name, if the same file has it still. Raises OSError."""
        if not self.changed():
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def _now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
