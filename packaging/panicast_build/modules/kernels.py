# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the kernels of Debian's family for which modules are built: those named, or the newest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import docker

from panicast_build.core import progress
from panicast_build.core.errors import UserError
from panicast_build.core.paths import LOGS
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets.distros import DebDistro

HEADERS = "linux-headers-"
NATIVE = "amd64"
# Other architectures, by the ends of their flavours' names: what the kernel calls them, and the prefix of the
# tools that compile for them on x86-64.
CROSS = {"arm64": ("arm64", "aarch64-linux-gnu-")}


@dataclass(frozen=True)
class DebKernel:
    """One kernel: its release (`uname -r`), its packages' version, and its flavour."""

    release: str
    version: str
    flavour: str

    @property
    def architecture(self) -> str:
        """Returns Debian's name of the architecture that it runs on."""
        return architecture(self.flavour)

    @property
    def cross(self) -> str:
        """Returns the arguments of make for a cross build; "" if the compiler's own target is
        right."""
        if self.architecture == NATIVE:
            return ""
        name, prefix = CROSS[self.architecture]
        return f"ARCH={name} CROSS_COMPILE={prefix}"

    @property
    def options(self) -> tuple[str, ...]:
        """Returns the arguments of dpkg-buildpackage for a build against its headers, which are
        unpacked but not installed."""
        return () if self.architecture == NATIVE else ("--host-arch", self.architecture, "-d")

    @property
    def tools(self) -> str:
        """Returns the prefix of the tools for its objects; "" if there is none."""
        return "" if self.architecture == NATIVE else CROSS[self.architecture][1]

    @property
    def suffix(self) -> str:
        """Returns what is appended to the version of its packages: newer for a newer kernel."""
        return f"+{re.sub('[^a-zA-Z0-9.+~]', '.', self.version)}"


def architecture(name: str) -> str:
    """Returns Debian's name of the architecture of a flavour or a kernel."""
    last = name.rpartition("-")[2]
    return last if last in CROSS else NATIVE


def flavour(distro: DebDistro, release: str) -> str:
    """Returns the flavour of a kernel. Raises UserError if the target's kernels have no such."""
    fit = [name for name in distro.flavours if release.endswith(f"-{name}")]
    if not fit:
        raise UserError(
            f"{distro.name} has no kernel called {release!r}",
            f"name one as `uname -r` does; its flavour is one of: {', '.join(distro.flavours)}",
        )
    return max(fit, key=len)


def find(client: docker.DockerClient, distro: DebDistro, named: Sequence[str]) -> list[DebKernel]:
    """Returns the kernels called named, where a flavour means its newest; for none the newest of each
    flavour. Raises UserError if the archive does not have one."""
    for name in set(named) - set(distro.flavours):
        flavour(distro, name)
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"modules-{distro.name}.log"
    base = images.base(client, distro)
    with (
        progress.step(f"asking the archive of {distro.name} for its kernels", log=path),
        path.open("w") as log,
        Container(client, base, network="host") as box,
    ):
        for foreign in sorted({architecture(name) for name in named or distro.flavours} - {NATIVE}):
            box.run(["dpkg", "--add-architecture", foreign], log=log)
        stale = ["-o", "Acquire::Check-Valid-Until=false"] if distro.rolling else []
        box.run(["apt-get", *stale, "update"], log=log)
        wanted = [
            _newest(box, name) if name in distro.flavours else name for name in named or distro.flavours
        ]
        return [
            DebKernel(release, _version(box, release), flavour(distro, release))
            for release in dict.fromkeys(wanted)
        ]


def _newest(box: Container, name: str) -> str:
    """Returns the newest kernel of a flavour."""
    depends = _field(box, f"{HEADERS}{name}", "Depends")
    found = re.search(rf"\b{HEADERS}(\d[^ ,]*)", depends)
    if not found:
        raise UserError(f"{HEADERS}{name} depends on no kernel's headers: {depends!r}", "see distros.toml")
    return found[1]


def _version(box: Container, release: str) -> str:
    """Returns the version of a kernel's headers, which its image has too."""
    return _field(box, f"{HEADERS}{release}", "Version")


def _field(box: Container, package: str, name: str) -> str:
    """Returns a field of the newest version of a package. Raises UserError if there is none."""
    exactly = f"{package}:{architecture(package)}"
    said = box.run(["apt-cache", "show", "--no-all-versions", exactly], check=False).output
    found = re.search(rf"^{name}: (.+)$", said, re.MULTILINE)
    if not found:
        raise UserError(f"the archive has no {package}", "./inv modules without --kernel takes the newest")
    return found[1]


def image(client: docker.DockerClient, distro: DebDistro, kernel: DebKernel) -> str:
    """Returns the tag of the image with the headers of a kernel and what compiles for it."""
    arguments = {"KERNEL": kernel.release, "VERSION": kernel.version}
    if kernel.architecture == NATIVE:
        return images.build(client, distro, "modules-deb", arguments)
    arguments["ARCHITECTURE"] = kernel.architecture
    return images.build(client, distro, "modules-deb-cross", arguments)
