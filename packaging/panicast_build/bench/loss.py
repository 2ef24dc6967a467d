# SPDX-License-Identifier: GPL-2.0-or-later
"""What a network that loses frames leaves of last words: the frames of real crashes, lost at random."""

from __future__ import annotations

import random
from collections.abc import Sequence

from panicast_build.crash import verdict
from panicast_build.crash.guest import Frame

TRIALS = 1000
RATES = (0.01, 0.05, 0.10, 0.20)
REPEATS = (1, 2, 3)


def complete(once: Sequence[Frame], repeat: int, rate: float, seed: int = 1) -> float:
    """The share of records, 0 to 1, that the receiver completes when each of the frames of a record is sent
    repeat times and lost with probability rate."""
    chance, sent = random.Random(seed), verdict.captured(once) * repeat
    trials = (verdict.received(p for p in sent if chance.random() >= rate) for _ in range(TRIALS))
    return sum(bool(found) and found[0].complete for found in trials) / TRIALS


def whole(packets: int, rate: float, seed: int = 1) -> float:
    """The share of panics, 0 to 1, of which none of the packets, each sent once, is lost."""
    chance = random.Random(seed)
    return sum(all(chance.random() >= rate for _ in range(packets)) for _ in range(TRIALS)) / TRIALS
