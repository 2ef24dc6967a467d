# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulated network loses as many frames as it says, and the receiver does the rest."""

from __future__ import annotations

import json
from pathlib import Path

import dpkt
import pytest

from panicast_build.bench import loss
from panicast_build.crash.guest import Frame

VECTORS = json.loads((Path(__file__).parents[2] / "wire/vectors.json").read_text())
FRAMES = next(vector["frames"] for vector in VECTORS if vector["name"] == "panic of many frames")


def ethernet(payload: bytes) -> Frame:
    udp = dpkt.udp.UDP(sport=6665, dport=6664, data=payload, ulen=8 + len(payload))
    packet = dpkt.ip.IP(p=dpkt.ip.IP_PROTO_UDP, data=udp, len=28 + len(payload))
    return Frame(0.0, bytes(dpkt.ethernet.Ethernet(data=packet)))


ONCE = [ethernet(bytes.fromhex(frame)) for frame in FRAMES]


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_a_perfect_network_completes_every_record(repeat: int) -> None:
    assert loss.complete(ONCE, repeat, 0.0) == 1


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_a_record_is_complete_when_one_of_each_frame_came(repeat: int) -> None:
    expected = (1 - 0.2**repeat) ** len(ONCE)
    assert loss.complete(ONCE, repeat, 0.2) == pytest.approx(expected, abs=0.05)


def test_packets_that_are_sent_once_are_whole_only_when_none_is_lost() -> None:
    assert loss.whole(20, 0.0) == 1
    assert loss.whole(20, 0.05) == pytest.approx(0.95**20, abs=0.05)
