# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away machine whose apt knows only the packages that were built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from panicast_build.container import Container
from panicast_build.distros import Distro
from panicast_build.run import Result

# What any use of apt and depmod changes, and what is dkms' own to keep (its signing key).
NOT_OURS = ("/proc", "/sys", "/dev", "/tmp", "/run", "/repo", "/var/log", "/var/cache", "/var/lib/apt")
NOT_OURS_NAMES = (
    *("/var/lib/dpkg/*", "/var/lib/dkms/mok.*", "/usr/lib/modules/*/modules.*"),
    # The passwd file's lock and backup.
    *("/etc/.pwd.lock", "/etc/*-"),
)


class Machine(Container):
    """A container with apt on packages of ours."""

    def apt(self, *arguments: str, check: bool = True) -> Result:
        """apt-get without questions."""
        keep = "Dpkg::Options::=--force-confold"
        return self.run(["apt-get", "-y", "-o", keep, "--no-install-recommends", *arguments], check=check)

    def files(self) -> set[str]:
        """Every path of the machine that packages of ours could have left."""
        pruned = [word for top in NOT_OURS for word in ("-path", top, "-o")][:-1]
        ignored = [word for name in NOT_OURS_NAMES for word in ("!", "-path", name)]
        listed = self.run(["find", "/", "(", *pruned, ")", "-prune", "-o", *ignored, "-print"]).output
        return set(listed.splitlines())


@pytest.fixture
def machine(
    client: docker.DockerClient,
    test_image: Callable[[Distro], str],
    packaged: Callable[[Distro], Path],
    distro: Distro,
) -> Iterator[Machine]:
    """A machine of the distro with its kernel's headers, which can apt install what was built."""
    debs = {path.name: path for path in packaged(distro).glob("*.deb")}
    with Machine(client, test_image(distro)) as box:
        box.run(["mkdir", "/repo"])
        box.write(debs, "/repo")
        index = box.run(["apt-ftparchive", "packages", "."], cwd="/repo").output
        box.write({"Packages": index.encode()}, "/repo")
        box.write({"sources.list": b"deb [trusted=yes] file:/repo ./\n"}, "/etc/apt")
        box.apt("update")
        yield box
