# SPDX-License-Identifier: GPL-2.0-or-later
"""A patched kernel that came as RPMs boots from their files, and its crash is delivered.

It is not built here: that takes as long as Debian's, which is.
"""

from __future__ import annotations

import docker
import pytest

from panicast_build.build import dist
from panicast_build.core import paths, tools
from panicast_build.crash import cases, guest, kit, verdict
from panicast_build.engine import images
from panicast_build.kernel import rpm
from panicast_build.smoke import vm
from panicast_build.targets import distros

DISTRO, CONFIG = "el9", "smoke"
PACKAGES = ("kernel-panicast-smoke-6", "kernel-panicast-smoke-devel-6")


@pytest.fixture(scope="module")
def made(client: docker.DockerClient) -> kit.Kit:
    """The kit of the RPMs in dist/."""
    target = paths.kernel_target(DISTRO)
    built = dist.read(target).get("components", {}).get(CONFIG)
    if not built:
        pytest.skip(
            f"./inv kernel --distro {DISTRO} --config {CONFIG} --source linux-6.12.9.tar.xz was not run"
        )
    tools.need(vm.QEMU, "setpriv")
    files = [entry["file"] for entry in built["files"] if entry["file"].startswith(PACKAGES)]
    assert len(files) == len(PACKAGES)
    host = distros.get(rpm.DEBIAN_HOST)
    arguments = {"BASE": images.build(client, host, "kernel-rpm-debian")}
    more = {f"rpms/{file}": paths.dist_dir(target) / file for file in files}
    return kit.of_image(client, "rpm", images.build(client, host, "crash-rpm", arguments, more))


@pytest.mark.parametrize("nic", ["virtio-net-pci", "e1000"])
def test_crash_is_delivered(made: kit.Kit, nic: str) -> None:
    case = cases.load()["sysrq"]
    outcome = guest.crash(made, nic, case)
    assert not verdict.fault(case, outcome), str(outcome)
    assert made.release.endswith("-panicast-smoke") and made.release in outcome.console
