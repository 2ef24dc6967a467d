# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMs in guests: a Debian root that the target's RPM package manager manages (rpmroot.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import docker

from panicast_build.build import rpmroot
from panicast_build.core import archive
from panicast_build.engine import images
from panicast_build.repository import index
from panicast_build.smoke import repo
from panicast_build.smoke.family import Tool
from panicast_build.smoke.repo import Package
from panicast_build.smoke.scenario import COMMON, DKMS, OPTIONS_FILE, SERVICE
from panicast_build.targets.distros import Base, RpmDistro


def version(path: Path) -> str:
    """Returns VERSION-RELEASE of NAME-VERSION-RELEASE.ARCH.rpm."""
    return "-".join(path.name.rsplit("-", 2)[1:]).rsplit(".", 2)[0]


def real_guest(distro: RpmDistro, manager: rpmroot.Manager) -> dict[str, str]:
    """Returns the arguments of Containerfile.guest-rpm-real."""
    # Dependencies may ask for versions, which the command that installs them is not told.
    needed = [dependency.split()[0] for dependency in (*distro.python_requires, *distro.python_suggests)]
    return {
        "SETUP": distro.setup,
        "INSTALL": distro.install,
        "PACKAGES": " ".join([*distro.guest, *needed]),
        "REPOSITORIES": manager.repositories,
    }


class Rpms:
    """The smoke test's family of RPMs: see family.Family.

    The guests' root is the distro's own if a registry has its image, else Debian's (rpmroot.py).
    """

    def __init__(self, client: docker.DockerClient, distro: RpmDistro) -> None:
        self._client = client
        self._distro = distro
        self._manager = rpmroot.MANAGERS[distro.manager]
        self._real = images.obtainable(client, distro)
        title = distro.title if self._real else self._manager.root.title
        self.root = f"{title}, managed by {distro.manager}"
        self.tool = Tool(
            name=distro.manager,
            install=tuple(self._manager.command("install")),
            remove=tuple(self._manager.command("remove")),
            # The second where the first has nothing to do.
            repair=tuple((*self._manager.command(step), DKMS, COMMON) for step in ("install", "reinstall")),
            # An administrator's decision on all these distros.
            start=("systemctl", "enable", "--now", SERVICE),
            keeps=(f"{OPTIONS_FILE}.rpmsave",),
        )

    def built(self, dist: Path) -> list[Package]:
        """See Family."""
        return repo.built(dist, self._distro.name, "{name}-*.noarch.rpm", version)

    def image(self, packages: Sequence[Package]) -> str:
        """See Family. It installs what packages depend on; on Debian the running guest tells rpm of
        it."""
        base: Base
        if self._real:
            base, recipe, stubs = self._distro, "guest-rpm-real", {}
            arguments = real_guest(self._distro, self._manager)
        else:
            base, recipe, stubs = self._manager.root, "guest-rpm", {"stubs": rpmroot.STUBS}
            arguments = {
                "BASE": rpmroot.image(self._client, base),
                "KERNEL": rpmroot.KERNEL_IMAGE,
                "REPOSITORIES": self._manager.repositories,
            }
        guest = archive.read_tree(images.CONTAINERFILES / "guest-deb")
        repositories = self._manager.configuration({"panicast": repo.MOUNTED, **stubs})
        return images.build(self._client, base, recipe, arguments, {**guest, "guest.repo": repositories})

    def index(self, folder: Path) -> None:
        """See Family."""
        index.repodata(folder)
