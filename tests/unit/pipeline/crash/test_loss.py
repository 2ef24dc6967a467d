# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulated network loses as many frames as it says, and the receiver does the rest."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path

import dpkt
import pytest

from panicast_build.bench.panic import ways
from panicast_build.crash import loss, verdict
from panicast_build.crash.guest import Frame
from panicast_build.crash.loss import Loss

VECTORS = json.loads((Path(__file__).parents[3] / "wire/vectors.json").read_text())
PANIC = next(vector for vector in VECTORS if vector["name"] == "panic with parity")


def ethernet(payload: bytes) -> Frame:
    udp = dpkt.udp.UDP(sport=6665, dport=6664, data=payload, ulen=8 + len(payload))
    packet = dpkt.ip.IP(p=dpkt.ip.IP_PROTO_UDP, data=udp, len=28 + len(payload))
    return Frame(0.0, bytes(dpkt.ethernet.Ethernet(data=packet)))


ONCE, PARITY = ([ethernet(bytes.fromhex(frame)) for frame in PANIC[part]] for part in ("frames", "parity"))


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_a_perfect_network_completes_every_record(repeat: int) -> None:
    assert verdict.complete([ONCE] * repeat, Loss(0.0)) == 1


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_a_record_is_complete_when_one_of_each_frame_came(repeat: int) -> None:
    expected = (1 - 0.2**repeat) ** len(ONCE)
    assert verdict.complete([ONCE] * repeat, Loss(0.2)) == pytest.approx(expected, abs=0.05)


def test_with_parity_a_record_is_complete_when_as_many_frames_came_as_it_has() -> None:
    expected = sum(math.comb(12, lost) * 0.3**lost * 0.7 ** (12 - lost) for lost in range(7))
    assert verdict.complete([ONCE, PARITY], Loss(0.3)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("burst", [1, 5, 20])
def test_as_much_is_lost_as_is_said_in_bursts_as_long(burst: int) -> None:
    arrived = list(Loss(0.1, burst).arrive(200_000, random.Random(1)))
    bursts = sum(1 for before, now in pairwise(arrived) if before and not now)
    assert arrived.count(False) / len(arrived) == pytest.approx(0.1, abs=0.01)
    assert arrived.count(False) / bursts == pytest.approx(burst if burst > 1 else 1 / 0.9, rel=0.1)


def test_the_ways_of_sending_are_made_of_one_panic() -> None:
    made = ways([*ONCE, *PARITY])
    assert made["panicast, parity=0 repeat=2"] == [ONCE, ONCE]
    assert made["panicast, parity=50"] == [ONCE, PARITY[:3]]
    assert made["panicast, parity=100"] == [ONCE, PARITY]


def test_packets_that_are_sent_once_are_whole_only_when_none_is_lost() -> None:
    assert loss.whole(20, Loss(0.0)) == 1
    assert loss.whole(20, Loss(0.05)) == pytest.approx(0.95**20, abs=0.05)
