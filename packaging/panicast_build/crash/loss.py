# SPDX-License-Identifier: GPL-2.0-or-later
"""Simulates a network that loses frames of real crashes at random."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TypeVar

Sent = TypeVar("Sent")

TRIALS = 1000


@dataclass(frozen=True)
class Loss:
    """A share of lost frames, 0 to 1: lost one by one, or in bursts of an average length."""

    rate: float
    burst: int = 1

    def __str__(self) -> str:
        """Returns its column's heading."""
        return f"{self.rate * 100:.0f} %" + (f" in bursts of {self.burst}" if self.burst > 1 else "")

    def arrive(self, frames: int, chance: random.Random) -> Iterator[bool]:
        """Tells for each of this many consecutive frames whether it arrives. Bursts follow
        Gilbert's model."""
        lost = chance.random() < self.rate
        for _ in range(frames):
            yield not lost
            if self.burst == 1:
                lost = chance.random() < self.rate
            elif lost:
                lost = chance.random() >= 1 / self.burst
            else:
                lost = chance.random() < self.rate / (1 - self.rate) / self.burst


LOSSES = (Loss(0.01), Loss(0.05), Loss(0.1), Loss(0.2), Loss(0.1, 5), Loss(0.2, 5), Loss(0.1, 20))


def trials(parts: Sequence[Sequence[Sent]], loss: Loss, seed: int = 1) -> Iterator[list[Sent]]:
    """Yields for each trial what arrives. A burst of losses is over when the next part leaves."""
    chance = random.Random(seed)
    for _ in range(TRIALS):
        yield [one for part in parts for one in compress(part, loss.arrive(len(part), chance))]


def whole(packets: int, loss: Loss, seed: int = 1) -> float:
    """Returns the share of panics, 0 to 1, that lose none of these packets, each sent once."""
    chance = random.Random(seed)
    return sum(all(loss.arrive(packets, chance)) for _ in range(TRIALS)) / TRIALS
