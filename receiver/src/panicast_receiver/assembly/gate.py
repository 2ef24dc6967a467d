# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides which records may begin if more begin than can be processed: those with more frames.
Pure.

Beginning a record costs ten times what a further frame of it costs. So only so many may begin at
once. The frames of the others are held unprocessed until there are two, four, or eight of one
record; each number has an allowance of its own. A forger who sends single frames uses up the first
allowance and keeps out no record of eight frames; one who forges larger records can begin fewer.
The oldest held frames are dropped first.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from .rates import Allowance

T = TypeVar("T")
#: By the number of a record's held frames: how many such records may begin at once, and again
#: within a minute.
_STAGES = {1: (12_000, 60_000), 2: (1000, 15_000), 4: (1000, 15_000), 8: (1000, 30_000)}
#: A record of at least so many frames is large.
LARGE = _LAST = max(_STAGES)
#: The first frame was refused before it was held.
_LATER = frozenset(_STAGES) - {1}
#: Frames of one record that are held at most: it has waited in vain.
_MOST = 64
#: Frames that are held at most, and their bytes; twice as many with the older ones.
_FRAMES, _BYTES = 32_768, 16 << 20


class Gate(Generic[T]):
    """Holds back frames of one kind of records, sealed or unsealed. ``refused`` counts frames that
    were dropped."""

    def __init__(self) -> None:
        self.refused = 0
        self._rates = {stage: Allowance(again, at_once) for stage, (at_once, again) in _STAGES.items()}
        self._first = self._rates[1]
        self._held: dict[Hashable, list[T]] = {}
        self._older: dict[Hashable, list[T]] = {}
        self._frames = self._bytes = 0
        #: When the first allowance was last used up.
        self._shut_at = -1.0

    def shut(self, now: float) -> bool:
        """Tell whether a record of a single frame may not begin now, seconds."""
        return self._shut_at == now

    def through(self, key: Hashable, count: int, frame: T, size: int, now: float, spent: bool) -> list[T]:
        """Take a frame of a record that has not begun; return the frames to decode now.

        Returns all held frames of the record once it may begin, or an empty list: then the frame is
        held or refused. ``key`` identifies the record, ``count`` is its number of frames, ``size``
        this one's bytes. If ``spent``, the sender has used up its own allowance, and only a large
        record may begin.
        """
        held = None
        # Mostly none are, and to look a key up is dear.
        if self._held or self._older:
            held = self._held.get(key) or self._older.get(key)
        if held is None:
            if not spent and self._shut_at != now:
                if self._first.allows(now):
                    return [frame]
                self._shut_at = now
            if count < 2:
                self.refused += 1
                return []
            held = self._held[key] = []
        held.append(frame)
        number = len(held)
        wanted = number >= _LAST if spent else number in _LATER or number > _LAST
        if wanted and self._rates[min(number, _LAST)].allows(now):
            self._held.pop(key, None)
            self._older.pop(key, None)
            return held
        self._frames += 1
        self._bytes += size
        if number >= _MOST or self._frames > _FRAMES or self._bytes > _BYTES:
            self._forget()
        return []

    def _forget(self) -> None:
        self.refused += sum(map(len, self._older.values()))
        self._held, self._older = {}, self._held
        self._frames = self._bytes = 0
