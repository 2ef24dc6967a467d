# SPDX-License-Identifier: GPL-2.0-or-later
"""Restores lost frames from parity frames, by the arithmetic of docs/wire.md. Pure.

A payload is a large integer whose bytes are elements of GF(2^8). So a sum is an exclusive or, and
all bytes are multiplied by x at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

#: Source frames of a block, at most, and parity frames of it.
BLOCK = 128
MAX_SIZE = 65000
_POLYNOMIAL = 0x11D
#: Parity frames that are kept of a block beyond those that it lacks: they show whether the others
#: are honest.
EXTRA = 4
#: Choices among contradicting parity frames that are tried.
_TRIES = 8
#: With up to so many lost frames, all these choices are tried.
_FEW = 16
#: Seconds that one step of a restoration takes, and those for each byte of a frame: see work_s().
_STEP_S, _BYTE_S = 1.2e-6, 0.4e-9


def blocks_of(count: int) -> int:
    """Return the number of blocks of a record with so many source frames."""
    return -(-count // BLOCK)


class Block(NamedTuple):
    """What all parity frames of a block agree on: the record's number of source frames; the bytes
    of its metadata, of a parity frame and of its text; and the block's number."""

    frames: int
    metadata: int
    size: int
    text: int
    number: int

    @property
    def seqs(self) -> range:
        """Return the seq of each source frame in the block."""
        return range(self.number, self.frames, blocks_of(self.frames))

    def place(self, seq: int) -> tuple[int, int]:
        """Return where the payload of a source frame begins and ends in the text; of seq 0, in the
        metadata."""
        if not seq:
            return 0, self.metadata
        end = self.text - (seq - 1) * self.size
        return max(0, end - self.size), end


def block_of(seq: int, count: int, metadata: int, size: int, text: int) -> Block | None:
    """Return the block of a parity frame with this header and payload length; None if no sender
    makes such a frame."""
    blocks = blocks_of(count)
    if not count <= seq < count + BLOCK * blocks or not 1 <= size <= MAX_SIZE or metadata > size:
        return None
    if count > 2:
        fits = -(-text // size) == count - 1
    else:
        fits = size == max(metadata, text) and (text > 0) == (count == 2)
    return Block(count, metadata, size, text, (seq - count) % blocks) if fits else None


def _tries(lost: int) -> int:
    # The work grows with the square of what is lost: where that is much, forged parity must not have it done
    # again and again.
    return _TRIES if lost <= _FEW else 1


def work_s(block: Block, lost: int, parity: int) -> float:
    """Return about how many seconds restore() takes at most."""
    steps = parity * (len(block.seqs) - lost) + _tries(lost) * lost * (lost + EXTRA)
    return steps * (_STEP_S + block.size * _BYTE_S)


def restore(block: Block, sources: Mapping[int, bytes], parity: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return the payloads of a block's missing source frames, by seq.

    ``sources`` are the frames that came, by seq; ``parity`` is by its number in the block. Returns
    an empty dict if there is too little parity for all that is missing, or if it contradicts itself
    or the sources: if there is more than is needed, some of the rest must agree with the result.
    """
    step = blocks_of(block.frames)
    lost = [seq for seq in block.seqs if seq not in sources]
    if not lost or len(parity) < len(lost):
        return {}
    known = {
        seq // step: int.from_bytes(data.ljust(block.size, b"\0"), "big") for seq, data in sources.items()
    }
    # What the sources leave of each parity: the sum of the lost ones alone.
    rest = {p: int.from_bytes(data, "big") ^ _sum(block.size, p, known) for p, data in parity.items()}
    numbers, more = list(rest), len(rest) - len(lost)
    # In each way others are left out, and all in turn.
    for first in range(0, min(len(numbers), _tries(len(lost)) * more) or 1, more or 1):
        turned = numbers[first:] + numbers[:first]
        chosen, others = turned[: len(lost)], turned[len(lost) :]
        found = _solve(block.size, [seq // step for seq in lost], {p: rest[p] for p in chosen})
        payloads = {seq: _payload(block, seq, found[seq // step]) for seq in lost}
        agreed = not others or any(_sum(block.size, p, found) == rest[p] for p in others)
        if agreed and None not in payloads.values():
            return {seq: data for seq, data in payloads.items() if data is not None}
    return {}


def _payload(block: Block, seq: int, value: int) -> bytes | None:
    """Return a restored source without its padding; None if the padding is not zero."""
    start, end = block.place(seq)
    data = value.to_bytes(block.size, "big")
    return None if any(data[end - start :]) else data[: end - start]


def _tables() -> tuple[list[int], list[int]]:
    powers, logs = [], [0] * 256
    value = 1
    for exponent in range(255):
        powers.append(value)
        logs[value] = exponent
        value = value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)
    return powers, logs


_POWER, _LOG = _tables()


def _factor(p: int, s: int) -> int:
    """Return the factor of source ``s`` of a block for its parity ``p``."""
    return _POWER[(_LOG[BLOCK ^ s] - _LOG[BLOCK + p ^ s]) % 255]


def _sum(size: int, p: int, sources: Mapping[int, int]) -> int:
    return _weighted(size, ((_factor(p, s), value) for s, value in sources.items()))


def _weighted(size: int, terms: Iterable[tuple[int, int]]) -> int:
    """Return the sum of payloads, each multiplied by its factor, bit by bit from the highest."""
    sums = [0] * 8
    for factor, value in terms:
        for bit in _BITS[factor]:
            sums[bit] ^= value
    ones, low = _masks(size)
    total = 0
    for part in reversed(sums):
        total = (total & low) << 1 ^ (total >> 7 & ones) * (_POLYNOMIAL & 0xFF) ^ part
    return total


_BITS = [[bit for bit in range(8) if factor >> bit & 1] for factor in range(256)]


@lru_cache(maxsize=64)
def _masks(size: int) -> tuple[int, int]:
    """Return the lowest bit of each byte, and all bits but the highest."""
    ones = int.from_bytes(b"\1" * size, "big")
    return ones, ones * 0x7F


def _solve(size: int, lost: Sequence[int], rest: Mapping[int, int]) -> dict[int, int]:
    """Return the lost sources, by their numbers. ``rest`` has one sum of them for each.

    The factors are a Cauchy matrix with scaled columns, whose inverse is known.
    """
    xs = {p: BLOCK + p for p in rest}

    def logs(values: Iterable[int]) -> int:
        return sum(_LOG[value] for value in values)

    rows = {
        p: logs(x ^ s for s in lost) - logs(x ^ other for q, other in xs.items() if q != p)
        for p, x in xs.items()
    }
    columns = {
        s: logs(x ^ s for x in xs.values()) - logs(s ^ other for other in lost if other != s) for s in lost
    }
    return {
        s: _weighted(
            size,
            (
                (_POWER[(rows[p] + columns[s] - _LOG[xs[p] ^ s] - _LOG[BLOCK ^ s]) % 255], value)
                for p, value in rest.items()
            ),
        )
        for s in lost
    }
