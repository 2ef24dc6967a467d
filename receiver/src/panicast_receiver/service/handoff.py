# SPDX-License-Identifier: GPL-2.0-or-later
"""The queue between capture and store: it limits bytes, and so memory.

It is not first come, first served. Sealed records go first, then those that took their sender the
most frames; after a few records of one sender the next one has its turn. So a flood of forged
records waits behind the honest ones, which take as many frames as many forged ones. Of one kind and
sender the oldest goes first.

Beyond its own limit it uses memory that the reassembler was given and does not need (``spare``).
When the store cannot keep up, the capturing side waits here, and the kernel's buffer, whose losses
are counted, takes what arrives meanwhile. An unsealed record of hardly a frame is not worth waiting
for: it is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from threading import Condition
from typing import Callable

from ..assembly.partial import RECORD_COST
from ..records.extents import held_of
from ..records.record import Record
from ..wire.v1 import FLAG_SEALED, STATE_TYPES
from .allowances import WORTH, came, weight

LIMIT_BYTES = 64 << 20
#: Records in one turn of a sender, and turns of a sender: all records after the last turn are
#: equal, because the time to find the first lane grows with the number of lanes.
_TURN, _TURNS = 16, 64


#: How soon a record goes, the lowest first: whether it is unsealed, whether it is a hello or bye,
#: its turn, and its negative weight (allowances.py). A plain tuple, because one is made for each record.
_Lane = tuple[bool, bool, int, int]


class Handoff:
    """Hands records from one producer to one consumer."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit = limit_bytes
        #: Bytes that may be used beyond the limit; set by the producer.
        self.spare = 0
        self.bytes = 0
        #: How many records were dropped, as not worth waiting for.
        self.dropped = 0
        self._lanes: dict[_Lane, deque[Record]] = {}
        self._of_sender: dict[Hashable, int] = {}
        self._length = 0
        self._changed = Condition()
        self._closed = False
        self._abandoned = False

    def put(self, records: Sequence[Record], beat: Callable[[], None] = lambda: None) -> int:
        """Append ``records``; wait for room, and call ``beat`` meanwhile.

        Returns how many were taken: all, unless the consumer has abandoned the queue.
        """
        with self._changed:
            for taken, record in enumerate(records):
                cost = _cost(record)
                while self._length and self.bytes + cost > self.limit + self.spare and not self._abandoned:
                    if self._drop_one():
                        continue
                    self._changed.notify_all()
                    beat()
                    self._changed.wait(0.5)
                if self._abandoned:
                    return taken
                self._append(record, cost)
            self._changed.notify_all()
            return len(records)

    def take(self, most: int, timeout_s: float) -> list[Record] | None:
        """Return up to ``most`` records; an empty list if none came in ``timeout_s``; None when the
        queue is closed and empty."""
        with self._changed:
            if not self._length and not self._closed:
                self._changed.wait(timeout_s)
            batch: list[Record] = []
            while self._length and len(batch) < most:
                lane = min(self._lanes)
                count = min(most - len(batch), len(self._lanes[lane]))
                batch += [self._pop(lane, newest=False) for _ in range(count)]
            self._changed.notify_all()
            return None if self._closed and not batch else batch

    def close(self) -> None:
        """Note that the producer has put its last record."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> int:
        """Give up as the consumer: free a waiting producer; return how many records are lost."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
            return self._length

    def _append(self, record: Record, cost: int) -> None:
        sender = _sender(record)
        waiting = self._of_sender.get(sender, 0)
        turn = min(waiting // _TURN, _TURNS) if waiting else 0
        unsealed = not record.flags & FLAG_SEALED
        lane = (unsealed, record.type in STATE_TYPES, turn, -weight(record.frames, came(record)))
        records = self._lanes.get(lane)
        if records is None:
            records = self._lanes[lane] = deque()
        records.append(record)
        self._of_sender[sender] = waiting + 1
        self._length += 1
        self.bytes += cost

    def _pop(self, lane: _Lane, newest: bool) -> Record:
        records = self._lanes[lane]
        record = records.pop() if newest else records.popleft()
        if not records:
            del self._lanes[lane]
        sender = _sender(record)
        self._of_sender[sender] -= 1
        if not self._of_sender[sender]:
            del self._of_sender[sender]
        self._length -= 1
        self.bytes -= _cost(record)
        return record

    def _drop_one(self) -> bool:
        """Drop what would go last, if it is not worth waiting for."""
        last = max(self._lanes)
        unsealed, _, _, negative = last
        if not unsealed or -negative >= WORTH:
            return False
        self._pop(last, newest=True)
        self.dropped += 1
        return True


def _sender(record: Record) -> Hashable:
    return record.header_host if record.flags & FLAG_SEALED else record.source[:2]


def _cost(record: Record) -> int:
    """Return the bytes of memory that a record takes here."""
    return RECORD_COST + len(record.metadata or b"") + held_of(record.runs)
