# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps records that are still arriving in a file when memory is full. The file has no name and
vanishes with the process."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from ..log import logger


class Spill:
    """An append-only file in ``folder`` that starts over when nothing in it is needed any more.

    Only one thread may put; any thread may read and free.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder, prefix="spill-", buffering=0))  # noqa: SIM115
        self._limit = limit
        self._end = 0
        self.live = 0
        self._lock = threading.RLock()

    def put(self, chunks: Sequence[bytes]) -> int | None:
        """Keep the chunks one after the other; return where the first begins, None if there is no
        room."""
        data = b"".join(chunks)
        with self._lock:
            if self._end + len(data) > self._limit:
                return None
            # Needed from now on: nobody starts the file anew.
            start, done = self._end, 0
            self._end += len(data)
            self.live += len(data)
        try:
            while done < len(data):
                done += os.pwrite(self._file.fileno(), data[done:], start + done)
        except OSError as error:
            logger.warning("cannot move records to the disk: %s; idle ones are stored incomplete", error)
            with self._lock:
                self._end = min(self._end, start)
                self.free(len(data))
            return None
        return start

    def read(self, place: range) -> bytes:
        """Return the bytes that were put at ``place``. Raises OSError."""
        data = os.pread(self._file.fileno(), len(place), place.start)
        if len(data) < len(place):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def free(self, size: int) -> None:
        """Give back so many bytes that are no longer needed."""
        with self._lock:
            self.live -= size
            if not self.live and self._end and not self._file.closed:
                self._end = 0
                os.ftruncate(self._file.fileno(), 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
