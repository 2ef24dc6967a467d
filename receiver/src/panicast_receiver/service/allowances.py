# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides which records are delivered at once: as many as can be before a person would wait.

A sender has an allowance for records of about the same number of frames, and so have all senders
together. So a flood of small records under any name does not use up the allowance of large ones,
which cost a forger as many frames. A sealed record uses only its own host's allowance. Pure.
"""

from __future__ import annotations

from ..assembly.rates import Rate
from ..records.extents import length_of
from ..records.record import Record

#: Records that are delivered at once, and again within a minute: of a sender, small ones, large
#: ones.
_OF_SENDER, _SMALL, _LARGE = 20, (30, 300), (200, 3000)


#: A frame of which there are others holds at least as much.
_FRAME_BYTES = 512
#: A record of this weight is large and worth waiting for: it took four frames or more.
WORTH = 3


def came(record: Record) -> int:
    """Return how many bytes of a record came, wherever they are kept."""
    return len(record.metadata or b"") + length_of(record.runs)


def weight(frames: int, size: int) -> int:
    """Return how many frames a record took, as a power of two, from the bytes that came, whatever
    it says of itself."""
    return min(frames, size // _FRAME_BYTES + 1).bit_length()


class Allowances:
    """Decides by allowances. A record that is delivered at once takes one from each of its own."""

    def __init__(self) -> None:
        self._senders = Rate(_OF_SENDER)
        self._small, self._large = (Rate(again, at_once) for at_once, again in (_SMALL, _LARGE))

    def at_once(self, record: Record, now: float) -> bool:
        """Tell whether this record is delivered at once, at ``now`` in seconds."""
        if record.sealed:
            return self._senders.allows(record.header_host, now)
        size = weight(record.frames, came(record))
        sizes = self._large if size >= WORTH else self._small
        return self._senders.allows((*record.source[:2], size), now) and sizes.allows(size, now)
