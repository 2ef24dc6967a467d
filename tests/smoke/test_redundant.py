# SPDX-License-Identifier: GPL-2.0-or-later
"""On the ports of HSR and PRP the machine says what it has to say as the protocol wants it."""

from __future__ import annotations

import docker
import pytest

from panicast_build.crash import guest, verdict
from panicast_build.crash.cases import Case

from ..kits import stock

# With what PRP ends each frame (IEC 62439-3).
PRP_SUFFIX = b"\x88\xfb"
PRP = Case(
    name="prp",
    cards=2,
    modules=("hsr",),
    setup="prp eth0 eth1",
    load="insmod /panicast.ko hello_s=1",
    armed="eth0 eth1",
    after="sleep 12",
    heard=("hello",),
    clean=True,
    life=240,
)


def on_two_networks(client: docker.DockerClient) -> guest.Outcome:
    return guest.crash(stock(client, "6.12"), "virtio-net-pci", PRP)


@pytest.mark.lives.with_args(on_two_networks)
def test_hellos_have_the_protocols_trailer(lived: guest.Outcome) -> None:
    """Frames without it would have its other nodes take the machine for one that is on one network only."""
    assert not verdict.fault(PRP, lived), str(lived)
    for card in lived.cards:
        hellos = [
            frame.data for frame in card if any(record.type == "hello" for record in verdict.records([frame]))
        ]
        assert hellos and all(hello.endswith(PRP_SUFFIX) for hello in hellos)
