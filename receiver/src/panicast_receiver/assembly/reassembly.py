# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts v1 records together. Pure: it takes frames and the time and returns records; no socket, no
time call, no file except by ``Spilling``.

A record is identified by what all its frames' headers share, and its text is put together by
offsets, so passes and interfaces all fill in the same text. Frames whose headers disagree (type,
flags, key id, event, count, text length, time, host) belong to different records, and both come
out: no forged frame keeps an honest record from completing, and no forged record takes its place.
For the same reason parity is used only when a record's frames have stopped coming.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Callable, NamedTuple, Protocol

from ..records.record import Instant, Record, Source
from ..wire.v1 import FLAG_SEALED, MAX_TEXT, TAG_BYTES, Drop, Frame, Key
from .partial import NOWHERE, RECORD_COST, Partial

#: A late frame of a record that was handed out already waits this long, seconds, for its companions. Each
#: time twice as long, and this at most: whoever sends such frames one by one makes the store merge all of the
#: record's text with each.
LATE_S, LATEST_S = 0.25, 60.0
#: A record is handed out so many seconds after it began, if it need not be idle for longer: whoever forges a
#: frame of it now and then must not keep it from being stored and told.
LONGEST_S = 60.0
#: Parity is used when no frame came for so many seconds: longer than any sender pauses.
RESTORE_S = 0.25
#: Seconds that restoring may take before frames are read again; and in all when the service stops.
RESTORING_S, LAST_RESTORING_S = 0.02, 5.0
#: How many finished and handed-out records are remembered; one costs about 500 bytes.
REMEMBERED = 65536
#: If more incomplete records than this become idle or must make room at once, somebody forges them.
FLOOD = 1000
#: When memory is full, it is freed down to this share, so that not every frame has to free some.
_ROOM = 0.9


class Limits(NamedTuple):
    """``memory`` and ``text`` in bytes, ``idle_s`` in seconds without a new frame of a record."""

    memory: int = 256 << 20
    records: int = 20000
    text: int = MAX_TEXT
    idle_s: float = 5.0


class Spilling(Protocol):
    """Where bytes go when memory is full (spill.py)."""

    def put(self, chunks: Sequence[bytes]) -> int | None:
        """Keep the chunks; return the offset of the first, or None if there is no room."""

    def read(self, place: range) -> bytes:
        """Return the bytes at a place. Raises OSError."""

    def free(self, size: int) -> None:
        """Give back so many bytes that are no longer needed."""


class _NoSpill:
    def put(self, chunks: Sequence[bytes]) -> int | None:
        return None

    def read(self, place: range) -> bytes:
        raise OSError(place)

    def free(self, size: int) -> None:
        pass


def _nobody() -> Partial:
    nobody = Partial.__new__(Partial)
    nobody.open, nobody.end = False, NOWHERE
    return nobody


#: Stand among the records in flight for one that is complete, and for one that has not begun.
DONE, UNKNOWN = _nobody(), _nobody()


class Recent(OrderedDict[Key, int]):
    """Remembers keys, and how often each was added; forgets the oldest beyond ``limit``."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def add(self, key: Key) -> Key | None:
        """Remember ``key`` as the newest; return the key forgotten for it, or None."""
        self[key] = self.get(key, 0) + 1
        self.move_to_end(key)
        return self.popitem(last=False)[0] if len(self) > self._limit else None


def _worth(partial: Partial) -> tuple[bool, bool, int, int]:
    """Return the order in which records go when room is needed: unsealed ones, of those single
    frames, then those silent the longest, in seconds, then those that free the most memory at once.
    """
    return partial.first.sealed, not partial.alone, int(partial.heard), -partial.held


def _dear(partial: Partial) -> tuple[bool, int]:
    """Return the order in which records are restored; unsealed ones with much parity, and so about
    as much lost, come last."""
    return not partial.first.sealed, sum(map(len, partial.parity.values()))


class Reassembler:
    """``feed`` and ``tick`` return the records to store, complete or not; ``counts`` gets every drop.

    Incomplete ones come out after ``idle_s`` without a frame, or earlier when a limit is reached and
    ``spill`` has no room; what arrives later comes out as a record of its own with the same identity, for
    the store to merge.
    """

    def __init__(
        self,
        limits: Limits,
        counts: Counter[str],
        spill: Spilling | None = None,
        may_begin: Callable[[Source, float], bool] = lambda source, now: True,
    ) -> None:
        self.limits = limits
        #: Bytes charged for what is in flight, and bytes of the limit that are used elsewhere.
        self.memory = 0
        self.reserved = 0
        #: The records in flight, and DONE for those that were complete lately. The fast path's table.
        self.by_key: dict[Key, Partial] = {}
        self._counts = counts
        self._spill = spill or _NoSpill()
        self._may_begin = may_begin
        self._partials: dict[Key, Partial] = {}
        self._done = Recent(REMEMBERED)
        self._handed_out = Recent(REMEMBERED)
        #: Records that wait for their parity to be used, the last one first.
        self._to_restore: list[Partial] = []
        #: No record in flight becomes idle before this.
        self._next_idle = math.inf

    @property
    def in_flight(self) -> int:
        """Return how many records have frames here."""
        return len(self._partials)

    def begins(self, key: Key) -> bool:
        """Tell whether a frame with this in its header belongs to no record that is in flight or
        was complete lately."""
        return key not in self.by_key

    def knows(self, frame: Frame) -> bool:
        """Tell whether a sealed frame brings nothing new. Asked before it is opened, which costs
        more."""
        partial = self.by_key.get(frame.key, UNKNOWN)
        if partial is DONE or partial is UNKNOWN:
            return partial is DONE
        return partial.knows(frame, len(frame.payload) - TAG_BYTES)

    def feed(self, frame: Frame, source: Source, now: Instant, may_begin: bool = False) -> list[Record]:
        """Take one frame; return the record that it completes, and those that had to make room.

        With ``may_begin`` its record may begin, whatever the sender's rate.
        """
        partial = self.by_key.get(frame.key)
        if partial is DONE:
            self._counts["duplicate"] += 1
            return []
        if frame.text_length > self.limits.text:
            self._counts["text longer than max_text_kib"] += 1
            return []
        if partial is None:
            # A sealed one was opened: nobody forges it, from whichever address.
            known = may_begin or frame.flags & FLAG_SEALED
            if not known and not self._may_begin(source, now.mono):
                self._counts[Drop.RATE.value] += 1
                return []
            partial = self._begin(frame, source, now)
        more = partial.take(frame)
        if more is None:
            self._counts["duplicate"] += 1
            return []
        partial.heard = now.mono
        if not partial.tried:
            self.wake(now.mono + RESTORE_S)
        self.memory += more
        return (self.settle(partial) if partial.ready else []) + self.make_room()

    def wake(self, at: float) -> None:
        """Have a record in flight examined at this time."""
        self._next_idle = min(self._next_idle, at)

    def settle(self, partial: Partial) -> list[Record]:
        """Return the record of ``partial`` and take it out of flight, if it is complete; else
        return an empty list."""
        self.memory -= partial.cost
        if not partial.settle():
            self.memory += partial.cost
            return []
        self._remove(partial)
        key = partial.first.key
        self.by_key[key] = DONE
        if forgotten := self._done.add(key):
            del self.by_key[forgotten]
        self._handed_out.pop(key, None)
        return self._out(partial)

    def tick(self, now: Instant) -> list[Record]:
        """Return the records of which no frame came for a while: incomplete, or made whole by
        parity."""
        records = self._restore_some()
        if now.mono < self._next_idle:
            return records
        expiry = {partial: self._expires(partial) for partial in self._partials.values()}
        quiet = [partial for partial, at in expiry.items() if at <= now.mono]
        self._next_idle = min((at for at in expiry.values() if at > now.mono), default=math.inf)
        idle = [partial for partial in quiet if partial.tried]
        flood = len(idle) > FLOOD
        for partial in idle:
            records += self._hand_out(partial, drop_loners=flood)
        waiting = {id(partial) for partial in self._to_restore}
        new = [partial for partial in quiet if not partial.tried and id(partial) not in waiting]
        self._to_restore = sorted([*self._to_restore, *new], key=_dear, reverse=True)
        return records if waiting else records + self._restore_some()

    def _restore_some(self) -> list[Record]:
        """Use parity for a while, of sealed records first, then of those that lost little: forged
        parity must delay neither frames nor honest records."""
        records: list[Record] = []
        spent = 0.0
        while self._to_restore and spent < RESTORING_S:
            partial = self._to_restore.pop()
            if partial.tried or self._partials.get(partial.first.key) is not partial:
                continue
            more, took = self._restore(partial, RESTORING_S - spent)
            records += more
            spent += took
            if not partial.tried:
                self._to_restore.append(partial)
            else:
                self.wake(self._expires(partial))
        return records

    def _expires(self, partial: Partial) -> float:
        if not partial.tried:
            return partial.heard + RESTORE_S
        patience = self._patience(partial)
        return min(partial.heard + patience, partial.began + max(LONGEST_S, patience))

    def _patience(self, partial: Partial) -> float:
        if not partial.late:
            return self.limits.idle_s
        return min(LATEST_S, LATE_S * float(1 << min(partial.late - 1, 16)))

    def flush(self) -> list[Record]:
        """Return everything in flight, because the service stops."""
        left = list(self._partials.values())
        flood = len(left) > FLOOD
        records, left_s = list[Record](), LAST_RESTORING_S
        for partial in left:
            more, took = self._restore_or_hand_out(partial, flood, left_s)
            records += more
            left_s -= took
        return records

    def make_room(self) -> list[Record]:
        """Keep the limits: spill the longest idle records, or return them if there is no room to
        spill to."""
        records: list[Record] = []
        limit = max(0, self.limits.memory - self.reserved)
        if self.memory <= limit and len(self._partials) <= self.limits.records:
            return records
        idle = sorted(self._partials.values(), key=_worth)
        enough, few = limit * _ROOM, self.limits.records * _ROOM
        for partial in idle if self.memory > limit else ():
            if self.memory <= enough or not self._spill_one(partial):
                break
        if self.memory <= limit and len(idle) <= self.limits.records:
            return records
        left_s = RESTORING_S
        for partial in idle:
            if self.memory <= enough and len(self._partials) <= few:
                break
            self._counts["handed out early for room"] += 1
            more, took = self._restore_or_hand_out(partial, len(idle) > FLOOD, left_s)
            records += more
            left_s -= took
        return records

    def _begin(self, frame: Frame, source: Source, now: Instant) -> Partial:
        key = frame.key
        partial = self._partials[key] = self.by_key[key] = Partial(frame, source, now.wall_ns)
        partial.late = self._handed_out.get(key, 0)
        partial.began = now.mono
        self.memory += RECORD_COST
        self.wake(now.mono + self._patience(partial))
        return partial

    def _remove(self, partial: Partial) -> None:
        """Forget a partial record whose cost has been taken off."""
        partial.open = False
        del self._partials[partial.first.key], self.by_key[partial.first.key]

    def _spill_one(self, partial: Partial) -> bool:
        """Spill a record; return False if there is no room."""
        before = partial.spilled
        done = partial.spill(self._spill.put)
        self.memory -= partial.spilled - before
        self._counts["spilled to disk"] += partial.spilled > before
        return done

    def _restore_or_hand_out(
        self, partial: Partial, drop_loners: bool, most_s: float
    ) -> tuple[list[Record], float]:
        """Take a record out: whole if parity restores it within ``most_s`` seconds, else
        incomplete.

        Returns the record, and how many seconds restoring took.
        """
        records, took = ([], 0.0) if partial.tried else self._restore(partial, most_s)
        return records or self._hand_out(partial, drop_loners), took

    def _hand_out(self, partial: Partial, drop_loners: bool = False) -> list[Record]:
        """Take a record out incomplete. With ``drop_loners`` drop a single unsealed frame instead,
        because a flood of forged ones would fill the store."""
        self.memory -= partial.cost
        drop = drop_loners and partial.alone and not partial.first.sealed
        partial.settle()
        self._remove(partial)
        if drop:
            self._counts["lone frames dropped for room"] += 1
            self._spill.free(partial.spilled)
            return []
        self._handed_out.add(partial.first.key)
        return self._out(partial)

    def _restore(self, partial: Partial, most_s: float) -> tuple[list[Record], float]:
        """Return the record of ``partial`` if parity makes it whole, and the seconds that took."""
        self.memory -= partial.cost
        took = partial.restore(self._spill.read, most_s)
        self.memory += partial.cost
        return (self.settle(partial) if partial.ready else []), took

    def _out(self, partial: Partial) -> list[Record]:
        try:
            return [partial.record(self._spill.read, self._spill.free)]
        except OSError:
            self._counts["records lost: spill file failed"] += 1
            return []
