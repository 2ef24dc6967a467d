# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes Debian-hosted machines on which the RPMs' own tools install them: see
containers/Containerfile.test-rpm."""

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
    """Describes a package manager: the target whose root has it, and its commands.

    repositories is its configuration folder, variables that of what its configuration may name,
    enabling the command by which it uses a repository from now on. url is its spelling of a local
    folder, fresh the option that makes it read its index again. exactly spells a package of a given
    version. steps are the steps that it names otherwise than install, upgrade, reinstall, downgrade,
    remove.
    """

    name: str
    target: str
    argv: tuple[str, ...]
    repositories: str = "/etc/yum.repos.d"
    variables: str = "/etc/dnf/vars"
    enabling: str = "dnf config-manager --set-enabled"
    url: str = "file://"
    fresh: str = "metadata_expire=0"
    exactly: str = "{name}-{version}"
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Whether it can be sent to a repository by a metalink.
    metalink: bool = True

    @property
    def root(self) -> Base:
        """Returns the base of the machines on which it is tried."""
        return distros.get(self.target)

    def command(self, step: str) -> list[str]:
        """Returns the command for a step, to which the packages' names are appended."""
        return [*self.argv, *self.steps.get(step, (step,))]

    def configuration(self, folders: Mapping[str, str]) -> bytes:
        """Returns the repository file for these folders (name -> path) of packages."""
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
        Manager(
            name="dnf5",
            target=SID,
            argv=("dnf5", "-y", "--releasever=44"),
            enabling="dnf config-manager enable",
        ),
        Manager(
            name="zypper",
            target=BOOKWORM,
            argv=("zypper", "--non-interactive", "--no-gpg-checks"),
            repositories="/etc/zypp/repos.d",
            variables="/etc/zypp/vars.d",
            enabling="zypper modifyrepo --enable",
            url="dir://",
            fresh="autorefresh=1",
            exactly="{name}={version}",
            steps=ZYPPER_STEPS,
            metalink=False,
        ),
    )
}


def stub_maker() -> dict[str, Path]:
    """Returns rpmfluff's files for the build context of an image. It runs there, because rpm's
    Python bindings are there."""
    found = find_spec("rpmfluff")
    if found is None or not found.submodule_search_locations:
        raise UserError("rpmfluff of requirements.lock is not installed", "run: ./inv --list")
    (folder,) = map(Path, found.submodule_search_locations)
    tree = archive.read_tree(folder)
    return {f"rpmfluff/{name}": path for name, path in tree.items() if path.suffix == ".py"}


def image(client: docker.DockerClient, root: Base) -> str:
    """Returns the tag of the image of a root, with all package managers that use this root."""
    names = sorted(manager.name for manager in MANAGERS.values() if manager.root == root)
    arguments = {"MANAGERS": " ".join(names), "KERNEL_HEADERS": KERNEL_HEADERS}
    return images.build(client, root, "test-rpm", buildargs=arguments, more=stub_maker())
