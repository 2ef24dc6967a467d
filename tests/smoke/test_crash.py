# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock kernels crash in many ways; every record must arrive whole and every machine reboot."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import docker
import dpkt
import pytest

from panicast_build.core import tools
from panicast_build.crash import cases, guest, many, verdict
from panicast_build.crash.kit import kit
from panicast_build.smoke import vm
from panicast_build.targets import kernels

from ..nightly import rows

KERNELS = [kernel for kernel in kernels.load().values() if kernel.quick]
NICS = ("virtio-net-pci", "e1000")
# Each kernel and each card is in every run; e1000 of 6.1 frees other frames when it is polled.
USUAL = {"6.1-e1000", "6.12-virtio-net-pci"}
CASES = [case for case in cases.load().values() if case.quick]

Outcomes = Mapping[str, Future[guest.Outcome]]


@pytest.fixture(
    scope="module",
    params=rows({f"{kernel.name}-{nic}": ((kernel, nic),) for kernel in KERNELS for nic in NICS}, USUAL),
)
def outcomes(client: docker.DockerClient, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """The crashes with a card in all the ways that this run asks for, by name."""
    tools.need(vm.QEMU, "setpriv")
    kernel, nic = request.param
    here: list[Any] = [item for item in request.session.items if item.path == request.path]
    asked = {item.callspec.params["case"].name for item in here}
    with many.crashes(kit(client, kernel), nic, [case for case in CASES if case.name in asked]) as ended:
        yield ended


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_crash_is_delivered(outcomes: Outcomes, case: cases.Case) -> None:
    outcome = outcomes[case.name].result()
    assert not verdict.fault(case, outcome), str(outcome)


def tshark(frames: list[guest.Frame], wanted: str) -> list[str]:
    """The lines of those frames that a display filter passes, with all checksums looked at."""
    stream = io.BytesIO()
    writer = dpkt.pcap.Writer(stream)
    for frame in frames:
        writer.writepkt(frame.data, frame.at)
    checks = [word for name in ("ip", "udp") for word in ("-o", f"{name}.check_checksum:TRUE")]
    # Sealed and parity frames look random: no guess at what another protocol would make of them.
    argv = ["tshark", "-n", "-r", "-", "-d", "udp.port==6664,data", *checks, "-Y", wanted]
    said = subprocess.run(argv, input=stream.getvalue(), check=True, stdout=subprocess.PIPE)
    return said.stdout.decode().splitlines()


# What all of a case's records must pass as: IPv4 has a checksum of its own, IPv6 has UDP's. 1 is good.
SEEN = {
    "sysrq": "ip.checksum.status == 1",
    "routed": "ip.checksum.status == 1 or udp.checksum.status == 1",
    "routed-ipv6-sealed": "udp.checksum.status == 1",
    "routed-vlan": "vlan.id == 5 and (ip.checksum.status == 1 or udp.checksum.status == 1)",
}


@pytest.mark.parametrize("case", [case for case in CASES if case.name in SEEN], ids=lambda case: case.name)
def test_tshark_finds_no_fault_in_the_frames(outcomes: Outcomes, case: cases.Case) -> None:
    tools.need("tshark")
    frames = outcomes[case.name].result().frames
    # 0 is bad. UDP over IPv4 has no checksum.
    assert not tshark(frames, "_ws.malformed or ip.checksum.status == 0 or udp.checksum.status == 0")
    ours = tshark(frames, "udp.dstport == 6664")
    assert len(ours) > 10, "too few frames to tell"
    assert tshark(frames, f"udp.dstport == 6664 and ({SEEN[case.name]})") == ours
