# SPDX-License-Identifier: GPL-2.0-or-later
"""Where records that are still arriving wait when memory is full: a file without a name, gone with us."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from .log import logger


class Spill:
    """An append-only file in ``folder`` that starts anew when nothing in it is needed any more."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder, prefix="spill-", buffering=0))  # noqa: SIM115
        self._limit = limit
        self._end = 0
        self.live = 0

    def put(self, chunks: Sequence[bytes]) -> int | None:
        """Keep the chunks one after the other; where the first begins, None when there is no room."""
        data = b"".join(chunks)
        if self._end + len(data) > self._limit:
            return None
        start, done = self._end, 0
        try:
            while done < len(data):
                done += os.pwrite(self._file.fileno(), data[done:], start + done)
        except OSError as error:
            logger.warning("records cannot be spilled: %s; the longest idle are stored as they are", error)
            return None
        self._end += len(data)
        self.live += len(data)
        return start

    def read(self, place: range) -> bytes:
        """The bytes that were put at ``place``; raises OSError."""
        return os.pread(self._file.fileno(), len(place), place.start)

    def free(self, size: int) -> None:
        """So many bytes are not needed any more."""
        self.live -= size
        if not self.live and self._end:
            self._end = 0
            os.ftruncate(self._file.fileno(), 0)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
