# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock kernels crash in many ways; every record must arrive whole and every machine reboot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import docker
import pytest

from panicast_build.core import tools
from panicast_build.crash import cases, guest, verdict
from panicast_build.crash.kit import Kit, kit
from panicast_build.smoke import vm
from panicast_build.targets import kernels

KERNELS = [kernel for kernel in kernels.load().values() if kernel.quick]
CASES = [case for case in cases.load().values() if case.quick]

Outcomes = dict[str, Future[guest.Outcome]]


@pytest.fixture(scope="session", params=KERNELS, ids=lambda kernel: kernel.name)
def made(client: docker.DockerClient, request: pytest.FixtureRequest) -> Kit:
    tools.need(vm.QEMU, "setpriv")
    return kit(client, request.param)


@pytest.fixture(scope="module", params=["virtio-net-pci", "e1000"])
def outcomes(made: Kit, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """The crashes with a card in all the ways that this run asks for, by name: a guest on each CPU, for it
    boots on one and sleeps most of its time."""
    here = (item for item in request.session.items if item.path == request.path)
    asked = {item.callspec.params["case"].name for item in here}
    chosen = [case for case in CASES if case.name in asked]
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        yield {case.name: pool.submit(guest.crash, made, request.param, case) for case in chosen}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_crash_is_delivered(outcomes: Outcomes, case: cases.Case) -> None:
    outcome = outcomes[case.name].result()
    assert not verdict.fault(case, outcome), str(outcome)
