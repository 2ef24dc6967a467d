# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps pieces of a text that arrive in any order, repeated or overlapping; never more bytes than
the text has."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import repeat
from typing import Callable, NamedTuple, Union, overload

#: A piece's bytes, or where in a file they are: both have a length and can be sliced.
Data = Union[bytes, range]


class Gap(NamedTuple):
    """``length`` bytes that are missing from ``offset`` on."""

    offset: int
    length: int


class Run(NamedTuple):
    """Bytes that are known, and where they start."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Return the offset of the first byte after the run."""
        return self.offset + len(self.data)


def runs_of(pairs: Iterable[tuple[int, Data]]) -> tuple[Run, ...]:
    """Return offsets and bytes as runs, at a fifth of the cost of Run()."""
    return tuple(map(tuple.__new__, repeat(Run), pairs))


class Lease:
    """``size`` bytes elsewhere, given back by ``free`` when this object is no longer used."""

    def __init__(self, size: int, free: Callable[[int], None]) -> None:
        self._size = size
        self._free = free

    def __del__(self) -> None:
        self._free(self._size)


class Unread(Sequence[Run]):
    """The runs of a text of which bytes may lie in a file. They are put together when first read.

    ``make`` then does that, and may raise OSError. ``length`` is how many bytes of the text they are,
    ``held`` how many of them are in memory until then. To read a text once more costs the capturing thread
    as much as receiving it.
    """

    def __init__(
        self, make: Callable[[], tuple[Run, ...]], length: int, held: int, lease: Lease | None
    ) -> None:
        self._make: Callable[[], tuple[Run, ...]] | None = make
        self._lease = lease
        self.length, self.held = length, held

    @cached_property
    def _runs(self) -> tuple[Run, ...]:
        assert self._make is not None
        runs = self._make()
        self._make = self._lease = None
        return runs

    @overload
    def __getitem__(self, index: int) -> Run: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Run, ...]: ...

    def __getitem__(self, index: int | slice) -> Run | tuple[Run, ...]:
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)


def bytes_of(pieces: Iterable[Data], fetch: Callable[[range], bytes]) -> Iterator[bytes]:
    """Yield the bytes of pieces; neighbours in the file are read together."""
    place = range(0)
    for piece in pieces:
        if isinstance(piece, range) and piece.start == place.stop:
            place = range(place.start, piece.stop)
            continue
        if place:
            yield fetch(place)
        place = piece if isinstance(piece, range) else range(0)
        if isinstance(piece, bytes):
            yield piece
    if place:
        yield fetch(place)


def length_of(runs: Sequence[Run]) -> int:
    """Return how many bytes of a text the runs are, wherever they lie."""
    return runs.length if isinstance(runs, Unread) else sum(len(run.data) for run in runs)


def held_of(runs: Sequence[Run]) -> int:
    """Return how many bytes of memory the text of the runs takes."""
    return runs.held if isinstance(runs, Unread) else length_of(runs)


class Piece(NamedTuple):
    """A run whose bytes may lie in a file."""

    offset: int
    data: Data

    @property
    def end(self) -> int:
        """Return the offset of the first byte after the piece."""
        return self.offset + len(self.data)


#: A text has at most so many pieces: twice as many as its frames, which may come in two sizes. To keep,
#: merge and show more of them takes ever longer.
MOST_PIECES = 2048


class Extents:
    """Non-overlapping pieces sorted by offset. What was there first wins an overlap."""

    def __init__(self, pieces: Iterable[tuple[int, Data]] = ()) -> None:
        self._starts: list[int] = []
        self._pieces: list[Piece] = []
        self.covered = 0
        for offset, data in pieces:
            self.add(offset, data)

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self._pieces)

    def within(self, start: int, end: int) -> list[Data] | None:
        """Return what covers everything from ``start`` to ``end``; None if something is missing
        there."""
        found: list[Data] = []
        index = max(0, bisect_right(self._starts, start) - 1)
        for offset, data in self._pieces[index:]:
            if start >= end or offset > start:
                break
            found.append(data[start - offset : end - offset])
            start = max(start, offset + len(data))
        return found if start >= end else None

    def add(self, offset: int, data: Data) -> int:
        """Keep what is new of ``data``; return how many bytes were."""
        before, position, end = self.covered, offset, offset + len(data)
        index = bisect_right(self._starts, offset)
        if index and self._pieces[index - 1].end > position:
            position = self._pieces[index - 1].end
        while position < end:
            limit = min(end, self._starts[index]) if index < len(self._starts) else end
            if limit > position:
                self._starts.insert(index, position)
                self._pieces.insert(index, Piece(position, data[position - offset : limit - offset]))
                self.covered += limit - position
                index += 1
            if index >= len(self._pieces):
                break
            position = max(limit, self._pieces[index].end)
            index += 1
        return self.covered - before


def gaps(runs: Sequence[Run], length: int) -> list[Gap]:
    """Return what sorted runs leave out of a text of ``length`` bytes."""
    found, position = [], 0
    for offset, data in runs:
        if offset > position:
            found.append(Gap(position, offset - position))
        position = offset + len(data)
    if position < length:
        found.append(Gap(position, length - position))
    return found


def merged(*parts: Sequence[Run]) -> tuple[Run, ...]:
    """Return several sets of runs as one, neighbours joined: as few runs as possible."""
    joined: list[Run] = []
    group: list[bytes] = []
    start = end = 0
    for offset, data in Extents(run for part in parts for run in part):
        assert isinstance(data, bytes)
        if group and offset != end:
            joined.append(Run(start, b"".join(group)))
            group = []
        if not group:
            start = offset
        group.append(data)
        end = offset + len(data)
    if group:
        joined.append(Run(start, b"".join(group)))
    return tuple(joined)
