# SPDX-License-Identifier: GPL-2.0-or-later
"""No two sealed frames have the same nonce, whatever becomes of the machine's memory."""

from __future__ import annotations

from collections.abc import Iterable

import docker

from panicast_build.core import tools
from panicast_build.crash import guest, verdict
from panicast_build.crash.cases import Case
from panicast_build.crash.guest import Frame, Outcome
from panicast_build.crash.kit import kit
from panicast_build.smoke import vm
from panicast_build.targets import kernels
from panicast_receiver.wire import v1

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


def sealed(frames: Iterable[Frame]) -> list[v1.Frame]:
    """The sealed frames of panicast among those of a network."""
    found = [v1.decode(datagram.data) for datagram in verdict.datagrams(frames)]
    return [frame for frame in found if isinstance(frame, v1.Frame) and frame.sealed]


def nonces(outcomes: Iterable[Outcome]) -> list[tuple[bytes, int, int]]:
    """Each nonce once for each different frame that has it."""
    different = {frame for outcome in outcomes for frame in sealed(outcome.frames)}
    return [(frame.boot_id, frame.event, frame.seq) for frame in different]


def test_machines_with_one_memory_use_no_nonce_twice(client: docker.DockerClient) -> None:
    tools.need(vm.QEMU, "setpriv")
    made = kit(client, kernels.load()["6.1"])
    first, *copies = guest.clone(made, NIC, CLONED, copies=2)
    for copy in copies:
        assert not verdict.fault(CLONED, copy), str(copy)
    # Both have counted on from the same number: with the boot id of the first they would have met.
    assert len({min(frame.event for frame in sealed(copy.frames)) for copy in copies}) == 1
    used = nonces([first, *copies])
    assert len(used) == len(set(used))
