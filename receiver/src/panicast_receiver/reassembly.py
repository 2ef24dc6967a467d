# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames and a clock reading in, records out. Pure: no socket, no file, no time call.

A record is known by (boot id, event) and its text by offsets, so passes, interfaces and even
interfaces with different frame sizes all fill in the same text. Frames whose headers contradict each
other (time, text length, host, type, flags) are kept apart: whichever becomes complete first is the
record, so one forged frame cannot keep an honest record from completing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from .extents import Extents
from .record import Instant, Record, Source, v1_identity
from .wire import MAX_TEXT, Frame

#: Bytes of memory charged per record and per piece of text beyond the text itself (measured in CPython 3.11).
RECORD_COST = 1500
PIECE_COST = 250
#: A late frame of a record that was handed out already waits this long, seconds, for its companions.
LATE_S = 0.25
#: How many finished and handed-out records are remembered; one costs about 200 bytes.
REMEMBERED = 65536


class Limits(NamedTuple):
    """``memory`` and ``text`` in bytes, ``idle_s`` in seconds without a frame of a record."""

    memory: int = 256 << 20
    records: int = 20000
    text: int = MAX_TEXT
    idle_s: float = 5.0


class RecentKeys:
    """A set that forgets its oldest member beyond ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: Hashable) -> None:
        """Remember ``key`` as the newest."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)

    def discard(self, key: Hashable) -> None:
        """Forget ``key`` if it is here."""
        self._keys.pop(key, None)


@dataclass
class _Partial:
    first: Frame
    source: Source
    received_ns: int
    last_heard: float
    metadata: bytes | None = None
    text: Extents = field(default_factory=Extents)
    cost: int = RECORD_COST

    def take(self, frame: Frame) -> bool:
        """Use what is new in ``frame``; False when nothing is."""
        if frame.seq == 0:
            if self.metadata is not None:
                return False
            self.metadata = frame.payload
            self.cost += len(frame.payload)
            return True
        pieces = len(self.text)
        new = self.text.add(frame.offset, frame.payload)
        self.cost += new + PIECE_COST * (len(self.text) - pieces)
        return new > 0

    @property
    def complete(self) -> bool:
        return self.metadata is not None and self.text.covered == self.first.text_length

    def record(self) -> Record:
        frame = self.first
        return Record(
            identity=v1_identity(frame.boot_id, frame.event),
            format="v1",
            type=frame.type,
            header_host=frame.host,
            boot_id=frame.boot_id,
            event=frame.event,
            flags=frame.flags,
            frames=frame.frames,
            time_ns=frame.time_ns,
            received_ns=self.received_ns,
            text_length=frame.text_length,
            metadata=self.metadata,
            runs=tuple(self.text.runs()),
            source=self.source,
        )


_Key = tuple[bytes, int, str, int, int, int, str]


class Reassembler:
    """``feed`` and ``tick`` return the records to store, complete or not; ``counts`` gets every drop.

    Incomplete ones come out after ``idle_s`` without a frame, or earlier when a limit is reached; what
    arrives later comes out as a record of its own with the same identity, for the store to merge.
    """

    def __init__(self, limits: Limits, counts: Counter[str]) -> None:
        self.limits = limits
        self.memory = 0
        self._counts = counts
        # Both in order of the last frame heard, so only the front can be idle.
        self._fresh: OrderedDict[_Key, _Partial] = OrderedDict()
        self._late: OrderedDict[_Key, _Partial] = OrderedDict()
        self._done = RecentKeys(REMEMBERED)
        self._handed_out = RecentKeys(REMEMBERED)

    @property
    def in_flight(self) -> int:
        """Records of which some frames are held here."""
        return len(self._fresh) + len(self._late)

    def feed(self, frame: Frame, source: Source, now: Instant) -> list[Record]:
        """Take one frame; returns the record it completes and those that had to make room."""
        name = (frame.boot_id, frame.event)
        if name in self._done:
            self._counts["duplicate"] += 1
            return []
        if frame.text_length > self.limits.text:
            self._counts["text longer than max_text_kib"] += 1
            return []
        key = (*name, frame.type, frame.flags, frame.text_length, frame.time_ns, frame.host)
        queue = self._late if name in self._handed_out else self._fresh
        partial = queue.get(key)
        if partial is None:
            partial = queue[key] = _Partial(frame, source, now.wall_ns, now.mono)
            self.memory += partial.cost
        partial.last_heard = now.mono
        queue.move_to_end(key)
        before = partial.cost
        if not partial.take(frame):
            self._counts["duplicate"] += 1
        self.memory += partial.cost - before
        if partial.complete:
            del queue[key]
            self.memory -= partial.cost
            self._done.add(name)
            self._handed_out.discard(name)
            return [partial.record()]
        return self._make_room()

    def tick(self, now: Instant) -> list[Record]:
        """Returns the incomplete records of which nothing was heard for a while."""
        records: list[Record] = []
        for queue, patience in ((self._fresh, self.limits.idle_s), (self._late, LATE_S)):
            while queue and next(iter(queue.values())).last_heard + patience <= now.mono:
                records += self._hand_out(queue)
        return records

    def flush(self) -> list[Record]:
        """Returns everything in flight: the service stops."""
        records: list[Record] = []
        for queue in (self._fresh, self._late):
            while queue:
                records += self._hand_out(queue)
        return records

    def _make_room(self) -> list[Record]:
        records: list[Record] = []
        while self.memory > self.limits.memory or self.in_flight > self.limits.records:
            self._counts["handed out early for room"] += 1
            records += self._hand_out(self._fresh or self._late)
        return records

    def _hand_out(self, queue: OrderedDict[_Key, _Partial]) -> list[Record]:
        """Take the longest idle record out of ``queue``; none if its twin was completed meanwhile."""
        key, partial = queue.popitem(last=False)
        self.memory -= partial.cost
        name = key[:2]
        if name in self._done:
            self._counts["contradicts a complete record"] += 1
            return []
        self._handed_out.add(name)
        return [partial.record()]
