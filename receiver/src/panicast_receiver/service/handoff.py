# SPDX-License-Identifier: GPL-2.0-or-later
"""The queue between capture and store: bounded by bytes, so that memory is.

Beyond its own limit it uses memory that the reassembler was given and does not need (``spare``). When
the store cannot keep up the capturing side waits here, and the kernel's buffer, whose losses are counted,
takes what arrives meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Condition
from typing import Callable

from ..assembly.partial import RECORD_COST
from ..records.extents import size_of
from ..records.record import Record

LIMIT_BYTES = 64 << 20


class Handoff:
    """One producer, one consumer."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit = limit_bytes
        #: Bytes that may be used beyond the limit; set by the producer.
        self.spare = 0
        self.bytes = 0
        self._records: deque[Record] = deque()
        self._changed = Condition()
        self._closed = False
        self._abandoned = False

    def put(self, records: Sequence[Record], beat: Callable[[], None] = lambda: None) -> int:
        """Append ``records``, waiting for room and calling ``beat`` while waiting; how many were taken, fewer
        only once abandoned."""
        with self._changed:
            for taken, record in enumerate(records):
                cost = _cost(record)
                while self._records and self.bytes + cost > self.limit + self.spare and not self._abandoned:
                    self._changed.notify_all()
                    beat()
                    self._changed.wait(0.5)
                if self._abandoned:
                    return taken
                self._records.append(record)
                self.bytes += cost
            self._changed.notify_all()
            return len(records)

    def take(self, most: int, timeout_s: float) -> list[Record] | None:
        """Up to ``most`` records, an empty list after ``timeout_s``, None when closed and empty."""
        with self._changed:
            if not self._records and not self._closed:
                self._changed.wait(timeout_s)
            batch = [self._records.popleft() for _ in range(min(most, len(self._records)))]
            self.bytes -= sum(map(_cost, batch))
            self._changed.notify_all()
            return None if self._closed and not batch else batch

    def close(self) -> None:
        """The producer has put its last record."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> int:
        """The consumer gives up: frees a waiting producer; returns how many records are lost."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
            return len(self._records)


def _cost(record: Record) -> int:
    return RECORD_COST + len(record.metadata or b"") + size_of(record.runs)
