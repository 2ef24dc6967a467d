# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine says bye before it is suspended, and hello when it is awake again."""

from __future__ import annotations

import docker
import pytest

from panicast_build.crash import guest, verdict
from panicast_build.crash.cases import Case

from ..kits import stock

# A hello follows within ten seconds: see GREET_SPREAD in presence.c.
SUSPENDED = Case(
    name="suspended",
    load="insmod /panicast.ko hello_s=1",
    after="""
        sleep 12
        echo +4 > /sys/class/rtc/rtc0/wakealarm; echo mem > /sys/power/state
        echo WOKE > /dev/console; sleep 12
    """,
    shows=("WOKE",),
    life=300,
)


def suspend(client: docker.DockerClient) -> guest.Outcome:
    return guest.crash(stock(client, "6.1"), "virtio-net-pci", SUSPENDED)


@pytest.mark.lives.with_args(suspend)
def test_suspend(lived: guest.Outcome) -> None:
    assert not verdict.fault(SUSPENDED, lived), str(lived)
    said = [(record.type, record.meta["reason"]) for record in verdict.records(lived.frames)]
    bye = said.index(("bye", "suspend"))
    assert {type_ for type_, _ in said[:bye]} == {"hello"}, said
    assert "hello" in {type_ for type_, _ in said[bye:]}, said
