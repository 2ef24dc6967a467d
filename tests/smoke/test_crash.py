# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock kernels crash in many ways; every record must arrive whole and every machine reboot."""

from __future__ import annotations

import docker
import pytest

from panicast_build import tools
from panicast_build.crash import cases, guest, kernels, verdict
from panicast_build.crash.kit import Kit, kit
from panicast_build.smoke import vm

KERNELS = [kernel for kernel in kernels.load().values() if kernel.quick]
CASES = [case for case in cases.load().values() if case.quick]


@pytest.fixture(scope="session", params=KERNELS, ids=lambda kernel: kernel.name)
def made(client: docker.DockerClient, request: pytest.FixtureRequest) -> Kit:
    tools.need(vm.QEMU, "setpriv")
    return kit(client, request.param)


@pytest.mark.parametrize("nic", ["virtio-net-pci", "e1000"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_crash_is_delivered(made: Kit, nic: str, case: cases.Case) -> None:
    outcome = guest.crash(made, nic, case)
    assert not verdict.fault(case, outcome), str(outcome)
