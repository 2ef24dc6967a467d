# SPDX-License-Identifier: GPL-2.0-or-later
"""One v1 record while its frames arrive, made to take a frame in a fraction of a microsecond. Pure.

A sender's frames arrive one after the other, so each is known by starting where the one before it
ended: ``order``. After a loss, a repetition or a change of order they are kept under a key, which
also shows repetitions: ``by_key``. When there are as many as the record has frames and they still
are not the record, each frame is put at its place in the text at once: ``text``.

Parity frames are kept beside them, as many as are missing and a few more, which show whether the
others are honest. They are used when no more frames come. What arrived by itself is never overruled
by what was restored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Callable, Optional, cast

from ..records.extents import MOST_PIECES, Data, Extents, Lease, Run, Unread, bytes_of, runs_of
from ..records.record import Record, Source
from ..wire.parity import BLOCK, EXTRA, Block, block_of, blocks_of, restore, work_s
from ..wire.v1 import FLAG_SEALED, SEQ_BITS, Frame

#: Bytes of memory charged per record and per piece beyond the text itself (CPython 3.11).
RECORD_COST = 1500
PIECE_COST = 150
#: Takes bytes to keep, and returns where they are, or None if there is no room.
Put = Callable[[Sequence[bytes]], Optional[int]]
#: Frames of a record that may need a closer look: so many for each of its frames, and a few more.
_PASSES, _FEW = 4, 64
#: An end that no piece has.
NOWHERE = -1
_SEQ = (1 << SEQ_BITS) - 1
#: Shared by all records whose text is not put together yet, so that it costs nothing.
_EMPTY = Extents()
#: Shared by all records without parity.
_NO_PARITY: dict[Block, dict[int, Data]] = {}
#: Parity frames of one record have equal headers. If they differ, so many kinds are kept.
_KINDS = 4
#: Seconds that it takes to look at a block.
_BLOCK_S = 1e-4


class Partial:
    """A record of which frames are missing. The fast path (ringblock.py) reads the first six
    members."""

    __slots__ = (
        *("open", "count", "order", "end", "heard", "by_key"),
        *("first", "source", "received_ns", "late", "began"),
        *("away", "settled", "text", "metadata", "spilled", "whole"),
        *("parity", "tried", "due", "restored", "looks"),
    )

    def __init__(self, frame: Frame, source: Source, received_ns: int) -> None:
        self.first = frame
        self.source = source
        self.received_ns = received_ns
        #: Whether the fast path may take its frames.
        self.open = not frame.flags & FLAG_SEALED
        self.count = frame.frames
        #: How often a part of the record was handed out already.
        self.late = 0
        self.began = 0.0
        self.heard = 0.0
        #: Metadata, then text, newest first, without a gap. The next piece must end at ``end``.
        self.order: list[Data] = []
        #: How many of ``order``, from its beginning, or of ``by_key`` are in the spill file.
        self.away = 0
        self.end = frame.text_length
        #: Payloads by offset << SEQ_BITS | seq, once they are not in order.
        self.by_key: dict[int, Data] = {}
        self.settled = False
        self.text = _EMPTY
        self.metadata: Data | None = None
        #: How many of the bytes are in the spill file.
        self.spilled = 0
        #: The whole text, in order, if it came in order.
        self.whole: Sequence[Data] | None = None
        #: Parity frames by block, and by their number in it.
        self.parity = _NO_PARITY
        #: Whether parity was used since the last frame came.
        self.tried = True
        #: Blocks whose parity is still to be used, the last one first.
        self.due: Sequence[Block] = ()
        #: How many frames were restored.
        self.restored = 0
        #: Frames that the fast path could not take.
        self.looks = 0

    @property
    def cost(self) -> int:
        """Return the bytes of memory charged."""
        if self.order:
            size = len(self.order[0]) + self.first.text_length - self.end
        else:
            size = sum(map(len, self.by_key.values())) + self.text.covered + len(self.metadata or b"")
        pieces = len(self.order) + len(self.by_key) + len(self.text)
        for kept in self.parity.values():
            size += sum(map(len, kept.values()))
            pieces += len(kept)
        return RECORD_COST + PIECE_COST * pieces + size - self.spilled

    @property
    def alone(self) -> bool:
        """Tell whether no other frame followed the first."""
        return len(self.order) + len(self.by_key) == 1 < self.count and not self.parity

    @property
    def is_spent(self) -> bool:
        """Tell whether more frames needed a closer look than an honest sender causes: passes and
        interfaces are few."""
        return self.looks > _PASSES * self.count + _FEW and not self.first.sealed

    @property
    def held(self) -> int:
        """Return the number of frames that spilling would move to the disk."""
        return len(self.order) + len(self.by_key) - self.away + sum(map(len, self.parity.values()))

    @property
    def ready(self) -> bool:
        """Tell whether this may be the whole record; only ``settle`` knows for sure."""
        if self.settled:
            return self._is_whole()
        return not self.end if self.order else len(self.by_key) >= self.count

    def knows(self, frame: Frame, size: int) -> bool:
        """Tell whether a frame with this much payload brings nothing new; unknown for a settled
        record."""
        if frame.seq >= frame.frames:
            return not self._wants(frame.seq, frame.offset, size)
        if len(self.order) <= frame.seq and self.end != NOWHERE:
            return False
        self._scatter()
        known = self.by_key.get(frame.offset << SEQ_BITS | frame.seq)
        # A piece that was cut on its way, or forged shorter, does not keep the whole one out.
        return known is not None and (len(known) >= size or isinstance(known, range))

    def take(self, frame: Frame) -> int | None:
        """Keep a frame; return how many more bytes are charged, None if it brings nothing new."""
        self.looks += 1
        size = len(frame.payload)
        if frame.seq >= frame.frames:
            return self.take_parity(frame.seq, frame.offset, frame.payload)
        self.tried, self.due = not self.parity, ()
        if self._continues(frame, size):
            self.order.append(frame.payload)
            if frame.seq:
                self.end = frame.offset
            return size + PIECE_COST
        if not self.settled:
            if self.knows(frame, size):
                return None
            self._scatter()
            number = frame.offset << SEQ_BITS | frame.seq
            shorter = self.by_key.get(number)
            self.by_key[number] = frame.payload
            return size + PIECE_COST if shorter is None else size - len(shorter)
        if frame.seq and len(self.text) >= MOST_PIECES:
            return None
        before, metadata = self.cost, self.metadata
        self._spread()
        self._place(frame.seq, frame.offset, frame.payload)
        more = self.cost - before
        return more if more or self.metadata is not metadata else None

    def take_parity(self, seq: int, metadata: int, payload: bytes) -> int | None:
        """Keep a parity frame; return the same as take()."""
        block = self._wants(seq, metadata, len(payload))
        if block is None:
            return None
        if not self.order:
            # It began with parity: what comes next is in no order.
            self._scatter()
        if not self.parity:
            self.parity = {}
        self.parity.setdefault(block, {})[(seq - self.count) // blocks_of(self.count)] = payload
        self.tried, self.due = False, ()
        return len(payload) + PIECE_COST

    def restore(self, read: Callable[[range], bytes], most_s: float) -> float:
        """Restore lost frames by parity, block by block; return about how many seconds it took.

        It begins no further block once it has taken ``most_s`` seconds. It sets ``tried`` when no
        block is left. ``read`` fetches what was spilled.
        """
        self._spread()
        due = list(self.due) or sorted(self.parity, key=lambda block: -len(self.parity[block]))
        spent = 0.0
        while due and spent < most_s:
            spent += _BLOCK_S + self._restore(due.pop(), read)
        self.tried, self.due = not due, due
        return spent

    def _restore(self, block: Block, read: Callable[[range], bytes]) -> float:
        kept = self.parity[block]
        sources = {seq: data for seq in block.seqs if (data := self._source(block, seq)) is not None}
        lost = len(block.seqs) - len(sources)
        if not 0 < lost <= len(kept):
            return 0.0
        try:
            found = restore(block, _fetched(sources, read), _fetched(kept, read))
        except OSError:
            return 0.0
        for seq, data in found.items():
            self._place(seq, block.place(seq)[0], data)
        self.restored += len(found)
        return work_s(block, lost, len(kept))

    def _wants(self, seq: int, metadata: int, size: int) -> Block | None:
        """Return the block of a parity frame; None if it brings nothing."""
        block = block_of(seq, self.count, metadata, size, self.first.text_length)
        if block is None:
            return None
        kept = self.parity.get(block)
        if kept is None:
            return block if len(self.parity) < _KINDS * blocks_of(self.count) else None
        known = (seq - self.count) // blocks_of(self.count) in kept
        return block if not known and len(kept) < self._lost(block) + EXTRA else None

    def _lost(self, block: Block) -> int:
        """Return how many source frames of a block are missing."""
        if self.settled:
            return sum(self._source(block, seq) is None for seq in block.seqs)
        if self.count <= BLOCK:
            return self.count - len(self.order) - len(self.by_key)
        seqs = range(len(self.order)) if self.order else [number & _SEQ for number in self.by_key]
        return len(block.seqs) - sum(seq in block.seqs for seq in seqs)

    def _source(self, block: Block, seq: int) -> Data | list[Data] | None:
        """Return a source frame that came, or what covers its place in the text, once settled."""
        start, end = block.place(seq)
        if seq:
            return self.text.within(start, end)
        return self.metadata if self.metadata is None or len(self.metadata) == end else None

    def settle(self) -> bool:
        """Put the pieces in their places; tell whether the record is whole."""
        if self.order and not self.end:
            self.metadata, self.whole = self.order[0], self.order[:0:-1]
            return True
        self._scatter()
        if self._fit():
            return True
        self._spread()
        return self._is_whole()

    def _continues(self, frame: Frame, size: int) -> bool:
        if frame.seq != len(self.order) or self.end == NOWHERE:
            return False
        return not frame.seq or frame.offset + size == self.end

    def _scatter(self) -> None:
        """Stop relying on the order."""
        offset = self.first.text_length
        for seq, data in enumerate(self.order):
            offset -= len(data) if seq else 0
            self.by_key[(offset if seq else 0) << SEQ_BITS | seq] = data
        self.order, self.end = [], NOWHERE

    def _fit(self) -> bool:
        """Tell whether metadata and text are there, each piece starting where another one ends."""
        (number, metadata), *texts = sorted(self.by_key.items()) or [(_SEQ, b"")]
        end = 0
        for following, data in texts:
            if following >> SEQ_BITS != end or not following & _SEQ:
                return False
            end += len(data)
        if number or end != self.first.text_length:
            return False
        self.metadata = metadata
        self.whole = [data for _, data in texts]
        return True

    def _spread(self) -> None:
        """Put the pieces into ``text``; what was there first stays."""
        self._scatter()
        if not self.settled:
            self.text = Extents()
        for number, data in self.by_key.items():
            self._place(number & _SEQ, number >> SEQ_BITS, data)
        self.by_key, self.away, self.settled, self.open = {}, 0, True, False

    def _place(self, seq: int, offset: int, data: Data) -> None:
        if seq:
            self.text.add(offset, data)
        elif self.metadata is None:
            self.metadata = data

    def _is_whole(self) -> bool:
        return self.metadata is not None and self.text.covered == self.first.text_length

    def spill(self, put: Put) -> bool:
        """Move all bytes elsewhere by ``put``; return False if it has no room."""
        numbers = [number for number, data in self.by_key.items() if isinstance(data, bytes)]
        held = self.order[self.away :] or [self.by_key[number] for number in numbers]
        # Frames come newest text first: written backwards, neighbours in the text are neighbours in the file.
        start = put(cast("Sequence[bytes]", held[::-1]))
        if start is None:
            return False
        ends = list(accumulate(map(len, held[::-1]), initial=start))
        places = list(map(range, ends, ends[1:]))[::-1]
        if self.order:
            self.order[self.away :] = places
        self.by_key.update(zip(numbers, places))
        self.away += len(places)
        self.spilled += ends[-1] - start
        return all(self._spill_parity(kept, put) for kept in self.parity.values())

    def _spill_parity(self, kept: dict[int, Data], put: Put) -> bool:
        here = {number: data for number, data in kept.items() if isinstance(data, bytes)}
        start = put(list(here.values())) if here else 0
        if start is None:
            return False
        ends = list(accumulate(map(len, here.values()), initial=start))
        kept.update(zip(here, map(range, ends, ends[1:])))
        self.spilled += ends[-1] - start
        return True

    def record(self, read: Callable[[range], bytes], free: Callable[[int], None]) -> Record:
        """Return the record as far as it is known, settled before; ``read`` fetches what was
        spilled, ``free`` gives it back."""
        frame = self.first
        lease = Lease(self.spilled, free) if self.spilled else None

        def fetched(data: Data) -> bytes:
            return read(data) if isinstance(data, range) else data

        runs: Sequence[Run]
        if self.whole is not None:
            length = frame.text_length
            runs = Unread(_whole(self.whole, read, lease), length, max(0, length - self.spilled), lease)
        elif lease:
            # Read one by one, as the store takes them: of all that ends at once there is more than memory.
            text = list(self.text)
            held = sum(len(data) for _, data in text if isinstance(data, bytes))
            runs = Unread(
                lambda: runs_of((offset, fetched(data)) for offset, data in text),
                self.text.covered,
                held,
                lease,
            )
        else:
            runs = runs_of((offset, fetched(data)) for offset, data in self.text)
        return Record(
            identity=frame.identity,
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
            metadata=None if self.metadata is None else fetched(self.metadata),
            runs=runs,
            source=self.source,
            restored=self.restored,
        )


def _fetched(parts: Mapping[int, Data | list[Data]], read: Callable[[range], bytes]) -> dict[int, bytes]:
    def fetched(data: Data) -> bytes:
        return read(data) if isinstance(data, range) else data

    return {
        number: b"".join(map(fetched, data)) if isinstance(data, list) else fetched(data)
        for number, data in parts.items()
    }


def _whole(
    pieces: Sequence[Data], read: Callable[[range], bytes], lease: Lease | None
) -> Callable[[], tuple[Run, ...]]:
    """Return what makes the one run of a text that came whole. Without a lease nothing lies in a file."""

    def make() -> tuple[Run, ...]:
        data = b"".join(bytes_of(pieces, read) if lease else cast("Sequence[bytes]", pieces))
        return (Run(0, data),) if data else ()

    return make
