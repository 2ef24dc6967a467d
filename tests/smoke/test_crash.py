# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock kernels crash in many ways; every record must arrive whole and every machine reboot."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import docker
import dpkt
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


def tshark(frames: list[guest.Frame], wanted: str) -> list[str]:
    """The lines of those frames that a display filter passes, with all checksums looked at."""
    stream = io.BytesIO()
    writer = dpkt.pcap.Writer(stream)
    for frame in frames:
        writer.writepkt(frame.data, frame.at)
    checks = [word for name in ("ip", "udp") for word in ("-o", f"{name}.check_checksum:TRUE")]
    argv = ["tshark", "-n", "-r", "-", *checks, "-Y", wanted]
    said = subprocess.run(argv, input=stream.getvalue(), check=True, stdout=subprocess.PIPE)
    return said.stdout.decode().splitlines()


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name == "routed"], ids=lambda case: case.name
)
def test_tshark_finds_no_fault_in_the_frames(outcomes: Outcomes, case: cases.Case) -> None:
    if not tools.find("tshark"):
        pytest.skip("tshark is not installed")
    frames = outcomes[case.name].result().frames
    # 0 is bad, 1 good. UDP over IPv4 has no checksum.
    assert not tshark(frames, "_ws.malformed or ip.checksum.status == 0 or udp.checksum.status == 0")
    ours = tshark(frames, "ipv6 and udp.dstport == 6664")
    assert len(ours) > 10, "too few frames to tell"
    assert tshark(frames, "ipv6 and udp.dstport == 6664 and udp.checksum.status == 1") == ours
