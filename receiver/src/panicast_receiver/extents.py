# SPDX-License-Identifier: GPL-2.0-or-later
"""Pieces of a text that arrive in any order, twice, or overlapping; never more bytes than the text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple


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
        """Offset of the first byte after the run."""
        return self.offset + len(self.data)


class Extents:
    """Non-overlapping runs sorted by offset. What was there first wins an overlap."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._starts: list[int] = []
        self._runs: list[Run] = []
        self.covered = 0
        for run in runs:
            self.add(run.offset, run.data)

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, offset: int, data: bytes) -> int:
        """Take what is new of ``data``; returns how many bytes were."""
        before, position, end = self.covered, offset, offset + len(data)
        index = bisect_right(self._starts, offset)
        if index and self._runs[index - 1].end > position:
            position = self._runs[index - 1].end
        while position < end:
            limit = min(end, self._starts[index]) if index < len(self._starts) else end
            if limit > position:
                self._starts.insert(index, position)
                self._runs.insert(index, Run(position, data[position - offset : limit - offset]))
                self.covered += limit - position
                index += 1
            if index >= len(self._runs):
                break
            position = max(limit, self._runs[index].end)
            index += 1
        return self.covered - before

    def runs(self) -> list[Run]:
        """The known bytes with neighbours joined: as few runs as there can be."""
        joined: list[Run] = []
        group: list[Run] = []
        for run in self._runs:
            if group and group[-1].end != run.offset:
                joined.append(_join(group))
                group = []
            group.append(run)
        if group:
            joined.append(_join(group))
        return joined

    def gaps(self, length: int) -> list[Gap]:
        """What is missing of a text of ``length`` bytes."""
        gaps, position = [], 0
        for run in self._runs:
            if run.offset > position:
                gaps.append(Gap(position, run.offset - position))
            position = run.end
        if position < length:
            gaps.append(Gap(position, length - position))
        return gaps


def _join(group: list[Run]) -> Run:
    return Run(group[0].offset, b"".join(run.data for run in group))
