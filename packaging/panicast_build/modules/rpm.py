# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the kernels of an RPM distribution for which modules are built, and makes images with their
headers. On a Debian host these are Debian's kernels, for tests on a Debian root."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import docker

from panicast_build.build import rpm
from panicast_build.core.errors import UserError
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.modules import kernels
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro, RpmDistro
from panicast_build.targets.metadata import Project

FLAVOUR = "amd64"
# The file of a kernel's headers that has its release.
RELEASE_FILE = "/include/config/kernel.release"
FIND = ["find", "-L", "/usr/src", "-maxdepth", "6", "-path", f"*{RELEASE_FILE}"]


@dataclass(frozen=True)
class RpmKernel:
    """One kernel: its release (`uname -r`), its packages' version, the folder of its headers, and the
    image that has them."""

    release: str
    version: str
    headers: str
    image: str

    @property
    def dependency(self) -> str:
        """Returns its release as rpm takes it for a version: with one hyphen. Only Debian's have more."""
        number, hyphen, rest = self.release.partition("-")
        return f"{number}{hyphen}{rest.replace('-', '_')}"

    @property
    def suffix(self) -> str:
        """Returns what is appended to the release of its packages: newer for a newer kernel."""
        return f".{self.mangled}"

    @property
    def mangled(self) -> str:
        """Returns its packages' version as a part of another's: without a hyphen."""
        return re.sub("[^a-zA-Z0-9.+~]", "_", self.version)


def find(
    client: docker.DockerClient, project: Project, distro: RpmDistro, named: Sequence[str], wanted_host: str
) -> list[RpmKernel]:
    """Returns the kernels with these versions of their packages, or for none the newest one."""
    host = rpm.host(client, distro, wanted_host)
    base = rpm.host_image(client, project, distro, host)
    if host == rpm.REAL:
        return [_real(client, distro, base, version) for version in named or _newest(client, distro, base)]
    if wanted_host != rpm.DEBIAN:
        raise UserError(
            f"the kernels of {distro.name} are only in its own archive, and no registry has its image",
            "run it where one answers; for Debian's kernels, as in tests: --rpm-host debian",
        )
    debian = distros.of_family(DebDistro)[rpm.DEBIAN_HOST]
    found = []
    for kernel in kernels.find(client, debian, list(named) or [FLAVOUR]):
        arguments = {"KERNEL": kernel.release, "VERSION": kernel.version}
        tag = images.build(client, debian, "modules-rpm-debian", arguments, parent=base)
        headers = f"/usr/src/{kernels.HEADERS}{kernel.release}"
        found.append(RpmKernel(kernel.release, kernel.version, headers, tag))
    return found


def _newest(client: docker.DockerClient, distro: RpmDistro, base: str) -> list[str]:
    with Container(client, base, network="host") as box:
        said = box.run(["sh", "-c", distro.kmod.ask]).output.split()
    if not said:
        raise UserError(f"the archive of {distro.name} names no kernel", f"it was asked: {distro.kmod.ask}")
    return said[-1:]


def _real(client: docker.DockerClient, distro: RpmDistro, base: str, version: str) -> RpmKernel:
    packages = [*distro.kmod.builders, distro.kmod.headers.format(kernel=version)]
    arguments = {"INSTALL": distro.install, "PACKAGES": " ".join(packages)}
    tag = images.build(client, distro, "modules-rpm", arguments, parent=base)
    with Container(client, tag) as box:
        found = sorted(box.run(FIND).output.split())
        if not found:
            raise UserError(f"{packages[-1]} of {distro.name} has no {RELEASE_FILE}")
        return RpmKernel(
            box.read(found[0]).decode().strip(), version, found[0].removesuffix(RELEASE_FILE), tag
        )
