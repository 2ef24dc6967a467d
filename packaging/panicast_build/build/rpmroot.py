# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian-hosted machines on which the RPMs' own tools install them: see containers/Containerfile.test-rpm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import docker

from panicast_build.core import archive
from panicast_build.core.errors import UserError
from panicast_build.engine import images
from panicast_build.targets import distros
from panicast_build.targets.distros import Base

BOOKWORM, SID = "debian-12", "sid"
KERNEL_IMAGE, KERNEL_HEADERS = "linux-image-amd64", "linux-headers-amd64"
STUBS = "/srv/stubs"


@dataclass(frozen=True)
class Manager:
    """A package manager: the target whose root has it, and how it is told what to do.

    repositories is the folder of its configuration, url how it spells a local folder, fresh what has it
    read its index each time; exactly is a package of a version; steps are those that it calls by other words
    than install, upgrade, reinstall, downgrade, remove.
    """

    name: str
    target: str
    argv: tuple[str, ...]
    repositories: str = "/etc/yum.repos.d"
    url: str = "file://"
    fresh: str = "metadata_expire=0"
    exactly: str = "{name}-{version}"
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Whether it can be sent to a repository by a metalink.
    metalink: bool = True

    @property
    def root(self) -> Base:
        """The base of the machines that it is tried on."""
        return distros.get(self.target)

    def command(self, step: str) -> list[str]:
        """The command that does a step to the packages whose names are to be appended."""
        return [*self.argv, *self.steps.get(step, (step,))]

    def configuration(self, folders: Mapping[str, str]) -> bytes:
        """The file that makes folders (name -> path) of packages its repositories."""
        return "".join(
            f"[{name}]\nname={name}\nbaseurl={self.url}{path}\ngpgcheck=0\n{self.fresh}\n"
            for name, path in folders.items()
        ).encode()


ZYPPER_STEPS = {
    "upgrade": ("update",),
    "reinstall": ("install", "--force"),
    "downgrade": ("install", "--oldpackage"),
}
# By the names that distros.toml gives them.
MANAGERS = {
    manager.name: manager
    for manager in (
        Manager("dnf", BOOKWORM, ("dnf", "-y", "--releasever=9")),
        Manager("dnf5", SID, ("dnf5", "-y", "--releasever=44")),
        Manager(
            name="zypper",
            target=BOOKWORM,
            argv=("zypper", "--non-interactive", "--no-gpg-checks"),
            repositories="/etc/zypp/repos.d",
            url="dir://",
            fresh="autorefresh=1",
            exactly="{name}={version}",
            steps=ZYPPER_STEPS,
            metalink=False,
        ),
    )
}


def stub_maker() -> dict[str, Path]:
    """The files of rpmfluff for the context of an image: it runs there, where rpm's Python bindings are."""
    found = find_spec("rpmfluff")
    if found is None or not found.submodule_search_locations:
        raise UserError("rpmfluff of requirements.lock is not installed", "run: ./inv --list")
    (folder,) = map(Path, found.submodule_search_locations)
    tree = archive.read_tree(folder)
    return {f"rpmfluff/{name}": path for name, path in tree.items() if path.suffix == ".py"}


def image(client: docker.DockerClient, root: Base) -> str:
    """The tag of the image of a root, with all package managers that it is the root of."""
    names = sorted(manager.name for manager in MANAGERS.values() if manager.root == root)
    arguments = {"MANAGERS": " ".join(names), "KERNEL_HEADERS": KERNEL_HEADERS}
    return images.build(client, root, "test-rpm", buildargs=arguments, more=stub_maker())
