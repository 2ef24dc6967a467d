# SPDX-License-Identifier: GPL-2.0-or-later
"""No two sealed frames have the same nonce, whatever becomes of the machine's memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import docker
import pytest

from panicast_build.crash import guest, verdict
from panicast_build.crash.cases import Case
from panicast_build.crash.guest import Frame, Outcome
from panicast_receiver.wire import v1

from ..kits import stock

NIC = "virtio-net-pci"
# The hypervisor tells by a number that each copy has of its own.
CLONED = Case(
    name="cloned",
    modules=("libchacha20poly1305", "vmgenid"),
    devices=("vmgenid,guid=auto",),
    load="insmod /panicast_seal.ko && insmod /panicast.ko hello_s=1 key_id=7 key=$(cat /key)",
    after="sleep 12",
    life=600,
    sealed=True,
    heard=("hello",),
    shows=("this machine was cloned or reverted: drew another boot id",),
)
# The image is read before anything else is done. While it is written the machine says nothing.
HIBERNATED = Case(
    name="hibernated",
    modules=("libchacha20poly1305", "virtio_blk"),
    setup="""
        cat /sys/block/vda/dev > /sys/power/resume
        mkswap /dev/vda > /dev/null; swapon /dev/vda
    """,
    load="insmod /panicast_seal.ko && insmod /panicast.ko hello_s=1 key_id=7 key=$(cat /key)",
    after="""
        sleep 12
        echo reboot > /sys/power/disk; echo disk > /sys/power/state
        echo WOKE > /dev/console; sleep 12
    """,
    life=600,
    sealed=True,
    heard=("hello",),
    shows=("WOKE",),
)
# Both panic with one memory: the first when its image is written, the other before the kernel says it woke.
PANICKED = replace(
    HIBERNATED,
    name="panicked",
    after="""
        insmod /pc_crash.ko how=later_at symbol=kernel_restart,thaw_processes &
        until grep -q thaw_processes /sys/kernel/debug/kprobes/list; do sleep 0.2; done
        echo reboot > /sys/power/disk; echo disk > /sys/power/state
    """,
    heard=(),
    shows=(),
)


def sealed(frames: Iterable[Frame]) -> list[v1.Frame]:
    """The sealed frames of panicast among those of a network."""
    found = [v1.decode(datagram.data) for datagram in verdict.datagrams(frames)]
    return [frame for frame in found if isinstance(frame, v1.Frame) and frame.sealed]


def nonces(outcomes: Iterable[Outcome]) -> list[tuple[bytes, int, int]]:
    """Each nonce once for each different frame that has it."""
    different = {frame for outcome in outcomes for frame in sealed(outcome.frames)}
    return [(frame.boot_id, frame.event, frame.seq) for frame in different]


def clone(client: docker.DockerClient) -> list[Outcome]:
    return guest.clone(stock(client, "6.1"), NIC, CLONED, copies=2)


@pytest.mark.lives.with_args(clone)
def test_machines_with_one_memory_use_no_nonce_twice(lived: list[Outcome]) -> None:
    first, *copies = lived
    for copy in copies:
        assert not verdict.fault(CLONED, copy), str(copy)
    # Both have counted on from the same number: with the boot id of the first they would have met.
    assert len({min(frame.event for frame in sealed(copy.frames)) for copy in copies}) == 1
    used = nonces([first, *copies])
    assert len(used) == len(set(used))


def hibernate(client: docker.DockerClient) -> tuple[Outcome, Outcome]:
    return guest.hibernate(stock(client, "6.1"), NIC, HIBERNATED)


@pytest.mark.lives.with_args(hibernate)
def test_a_machine_that_hibernates_uses_no_nonce_twice(lived: tuple[Outcome, Outcome]) -> None:
    asleep, awake = lived
    assert not verdict.fault(HIBERNATED, awake), str(awake)
    said = verdict.records(asleep.frames, sealed=True)
    assert [record.type for record in said][-1] == "bye", str(asleep)
    assert said[-1].meta["reason"] == "hibernation"
    used = nonces([asleep, awake])
    assert len(used) == len(set(used))
    # As anew as after a boot: the numbers of the first are counted on from in the image.
    assert not {frame.boot_id for frame in sealed(asleep.frames)} & {
        frame.boot_id for frame in sealed(awake.frames)
    }


def panic(client: docker.DockerClient) -> tuple[Outcome, Outcome]:
    return guest.hibernate(stock(client, "6.1"), NIC, PANICKED)


@pytest.mark.lives.with_args(panic)
def test_a_panic_before_waking_has_no_nonce_of_one_with_an_image(lived: tuple[Outcome, Outcome]) -> None:
    for outcome, place in zip(lived, ("kernel_restart", "thaw_processes"), strict=True):
        last = verdict.records(outcome.frames, sealed=True)[-1]
        assert (last.type, last.complete) == ("panic", True), str(outcome)
        assert last.meta["reason"] == f"panics at {place}"
    # Both counted on from the same number.
    assert len({max(frame.event for frame in sealed(outcome.frames)) for outcome in lived}) == 1
    used = nonces(lived)
    assert len(used) == len(set(used))
