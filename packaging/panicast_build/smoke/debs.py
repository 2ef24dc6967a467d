# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages in guests: a flat apt repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import docker
from debian.debfile import DebFile

from panicast_build.build.dist import sha256
from panicast_build.engine import images
from panicast_build.repository import index
from panicast_build.smoke import repo
from panicast_build.smoke.family import Tool
from panicast_build.smoke.repo import Package
from panicast_build.targets.distros import DebDistro


def control(path: Path) -> dict[str, str]:
    """Returns the control fields of a .deb in order."""
    return {str(key): str(value) for key, value in DebFile(str(path)).debcontrol().items()}


def read(path: Path) -> Package:
    """Returns the package in a .deb, as it describes itself."""
    fields = control(path)
    return Package(path, fields["Package"], fields["Version"], sha256(path))


def wants(controls: Sequence[dict[str, str]]) -> str:
    """Returns what apt would install along with packages of these control fields and is none of
    them, as one dependency list."""
    fields = ("Pre-Depends", "Depends", "Recommends")
    ours = {fields_["Package"] for fields_ in controls}
    wanted = {
        word.strip()
        for fields_ in controls
        for name in fields
        for word in fields_.get(name, "").split(",")
        if word.split(None, 1)[:1] and word.split()[0] not in ours
    }
    return ", ".join(sorted(wanted))


class Debs:
    """The smoke test's family of Debian packages: see family.Family."""

    tool = Tool(
        name="apt",
        refresh=("apt-get", "update"),
        install=("apt-get", "install", "-y"),
        remove=("apt-get", "remove", "-y"),
        repair=(("dpkg", "--configure", "-a"), ("apt-get", "--fix-broken", "install", "-y")),
        purge=("apt-get", "purge", "-y"),
        recommends=True,
    )

    def __init__(self, client: docker.DockerClient, distro: DebDistro) -> None:
        self._client = client
        self._distro = distro
        self.root = distro.title

    def built(self, dist: Path) -> list[Package]:
        """See Family."""
        return repo.built(dist, self._distro.name, "{name}_*.deb", lambda path: control(path)["Version"])

    def image(self, packages: Sequence[Package]) -> str:
        """See Family. It installs what packages depend on."""
        needed = wants([control(package.path) for package in packages])
        arguments = {"KERNEL": self._distro.kernel_image, "WANTS": needed}
        return images.build(self._client, self._distro, "guest-deb", buildargs=arguments)

    def index(self, folder: Path) -> None:
        """See Family."""
        (folder / "Packages").write_text(index.packages(folder))
