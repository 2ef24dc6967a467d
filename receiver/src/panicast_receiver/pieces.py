# SPDX-License-Identifier: GPL-2.0-or-later
"""One v1 record while its frames arrive: made for taking a frame in a fraction of a microsecond. Pure.

A frame whose header has the same prefix and suffix as the first one of its record needs no decoding: it is
kept under its piece number (seq, count, offset), which also tells repetitions. What a piece is worth is
looked at when there may be enough of them, by ``settle``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import ge
from typing import Callable, Optional, cast

from .extents import Data, Extents, Piece, Run, runs_of
from .record import Record, Source, v1_identity
from .wire import MAX_COUNT, Frame, split_pieces

#: Bytes of memory charged per record, piece of text and piece number beyond the text itself (CPython 3.11).
RECORD_COST = 1500
PIECE_COST = 150
NUMBER_COST = 100
#: More piece numbers than this are not remembered: no honest record has them.
_MOST_NUMBERS = 4 * MAX_COUNT
#: Takes bytes to keep, returns where they are; None when there is no room.
Put = Callable[[Sequence[bytes]], Optional[int]]


class Partial:
    """A record of which frames are missing.

    ``left``: settle when so many more bytes have come, each piece counting one more than it has (so that
    empty ones run out too). Metadata counts like text, so that it may be a little early.
    """

    __slots__ = (
        *("first", "source", "received_ns", "suffix", "late", "heard"),
        *("left", "pieces", "settled", "text", "metadata", "spilled", "whole"),
    )

    def __init__(self, frame: Frame, source: Source, received_ns: int, late: bool) -> None:
        self.first = frame
        self.source = source
        self.received_ns = received_ns
        # The fast path is not for sealed frames: no header has an empty suffix.
        self.suffix = b"" if frame.sealed else frame.suffix
        self.late = late
        self.heard = 0.0
        self.left = frame.text_length
        #: By piece number; b"" once the bytes are in ``text``.
        self.pieces: dict[int, Data] = {}
        #: How many of ``pieces`` are mere numbers by now.
        self.settled = 0
        self.text = Extents()
        self.metadata: Data | None = None
        #: Bytes of ``pieces``, ``text`` and ``metadata`` that lie in the spill file.
        self.spilled = 0
        #: All of the text, once it came in the usual way.
        self.whole: tuple[Piece | Run, ...] = ()

    @property
    def cost(self) -> int:
        """Bytes of memory charged."""
        size = sum(map(len, self.pieces.values())) + self.text.covered + len(self.metadata or b"")
        pieces = len(self.pieces) - self.settled + len(self.text)
        return RECORD_COST + PIECE_COST * pieces + NUMBER_COST * self.settled + size - self.spilled

    def settle(self) -> tuple[bool, int]:
        """Sort out the pieces that came; whether the record is whole, and how many were out of bounds."""
        # Once settled, what is in ``pieces`` is no more than numbers.
        if not self.settled and not self.text and self._take_whole():
            return True, 0
        wrong, length = 0, self.first.text_length
        for (seq, count, offset), data in zip(split_pieces(self.pieces), self.pieces.values()):
            if seq >= count or count > MAX_COUNT or (offset + len(data) > length if seq else offset):
                wrong += 1
            elif seq:
                self.text.add(offset, data)
            elif self.metadata is None:
                self.metadata = data
        numbers = () if wrong or len(self.pieces) > _MOST_NUMBERS else self.pieces
        self.pieces = dict.fromkeys(numbers, b"")
        self.settled = len(self.pieces)
        self.left = length - self.text.covered or (1 if self.metadata is None else 0)
        return not self.left, wrong

    def _take_whole(self) -> bool:
        """The usual end, without a loop in Python: one cut of the text, all of it in bounds, none missing."""
        if not self.pieces:
            return False
        seqs, counts, offsets = zip(*split_pieces(self.pieces))
        if seqs.count(0) != 1 or max(counts) > MAX_COUNT or any(map(ge, seqs, counts)):
            return False
        # Metadata, whose offset is 0, comes before the text's first piece.
        found = sorted(zip(offsets, seqs, self.pieces.values()))
        starts, numbers, texts = zip(*found)
        ends = list(accumulate(map(len, texts[1:]), initial=0))
        if numbers[0] or ends.pop() != self.first.text_length or ends != list(starts[1:]):
            return False
        self.metadata = texts[0]
        self.whole = runs_of(zip(starts[1:], texts[1:]))
        return True

    def spill(self, put: Put) -> bool:
        """Move all bytes elsewhere by ``put``; False when it has no room."""
        # Frames come newest text first: written backwards, neighbours in the text are neighbours in the file.
        held = [(number, data) for number, data in self.pieces.items() if isinstance(data, bytes) and data]
        start = put([data for _, data in reversed(held)])
        if start is None:
            return False
        for number, data in reversed(held):
            self.pieces[number] = range(start, start + len(data))
            start += len(data)
            self.spilled += len(data)
        return True

    def record(self, read: Callable[[range], bytes]) -> Record:
        """What is known, settled before; ``read`` fetches what was spilled."""
        frame = self.first

        def fetched(data: Data) -> bytes:
            return read(data) if isinstance(data, range) else data

        pieces = self.whole or tuple(self.text)
        if self.spilled:
            pieces = runs_of((offset, fetched(data)) for offset, data in _joined(pieces))
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
            metadata=None if self.metadata is None else fetched(self.metadata),
            # Nothing spilled: all of it is bytes.
            runs=cast("tuple[Run, ...]", pieces),
            source=self.source,
        )


def _joined(pieces: Iterable[Piece | Run]) -> list[Piece]:
    """Neighbours whose bytes lie one after the other in the file become one."""
    joined: list[Piece] = []
    for offset, data in pieces:
        piece = Piece(offset, data)
        last = joined[-1] if joined else None
        if (
            last
            and last.end == piece.offset
            and isinstance(last.data, range)
            and isinstance(piece.data, range)
            and last.data.stop == piece.data.start
        ):
            joined[-1] = Piece(last.offset, range(last.data.start, piece.data.stop))
        else:
            joined.append(piece)
    return joined
