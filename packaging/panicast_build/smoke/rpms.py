# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMs in guests: a Debian root that the RPM package manager of the target manages (rpmroot.py)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import docker

from panicast_build import archive, images, rpmroot
from panicast_build.container import Container
from panicast_build.distros import Distro, RpmDistro
from panicast_build.smoke import repo
from panicast_build.smoke.family import Tool
from panicast_build.smoke.repo import Package
from panicast_build.smoke.scenario import OPTIONS_FILE, SERVICE


def version(path: Path) -> str:
    """VERSION-RELEASE of NAME-VERSION-RELEASE.ARCH.rpm."""
    return "-".join(path.name.rsplit("-", 2)[1:]).rsplit(".", 2)[0]


class Rpms:
    """The smoke test's family of RPMs: see family.Family."""

    def __init__(self, client: docker.DockerClient, distro: Distro) -> None:
        assert isinstance(distro, RpmDistro)
        self._client = client
        self._distro = distro
        self._manager = rpmroot.MANAGERS[distro.manager]
        self.root = f"{self._manager.root.title}, managed by {distro.manager}"
        self.tool = Tool(
            name=distro.manager,
            install=tuple(self._manager.command("install")),
            remove=tuple(self._manager.command("remove")),
            # An administrator's decision on all these distros.
            start=("systemctl", "enable", "--now", SERVICE),
            keeps=(f"{OPTIONS_FILE}.rpmsave",),
        )

    def built(self, dist: Path) -> list[Package]:
        """See Family."""
        return repo.built(dist, self._distro.name, "{name}-*.noarch.rpm", version)

    def image(self, packages: Sequence[Package]) -> str:
        """See Family. What packages depend on is installed there; rpm learns of it in the running guest."""
        arguments = {
            "BASE": rpmroot.image(self._client, self._manager.root),
            "KERNEL": rpmroot.KERNEL_IMAGE,
            "REPOSITORIES": self._manager.repositories,
        }
        guest = archive.read_tree(images.CONTAINERFILES / "guest-deb")
        with tempfile.TemporaryDirectory() as folder:
            repositories = Path(folder) / "guest.repo"
            places = {"panicast": "/srv/panicast", "stubs": rpmroot.STUBS}
            repositories.write_bytes(self._manager.configuration(places))
            more = {**guest, "guest.repo": repositories}
            return images.build(self._client, self._manager.root, "guest-rpm", buildargs=arguments, more=more)

    def index(self, packages: Sequence[Package]) -> dict[str, bytes]:
        """See Family."""
        image = rpmroot.image(self._client, self._manager.root)
        with Container(self._client, image) as box, tempfile.TemporaryDirectory() as folder:
            box.run(["mkdir", "/repo"])
            box.write({package.path.name: package.path for package in packages}, "/repo")
            box.run(["createrepo_c", "-q", "/repo"])
            box.get("/repo/repodata", Path(folder))
            return {
                f"repodata/{name}": path.read_bytes()
                for name, path in archive.read_tree(Path(folder)).items()
            }
