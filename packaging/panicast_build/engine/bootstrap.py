# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes base images from the distro's own signed archive, by family, if no registry answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.core.run import run
from panicast_build.targets.distros import Base

# By the name of the image, the keys that sign the archive: where mmdebstrap looks for them, and the package.
KEYRINGS = {
    "debian": (Path("/usr/share/keyrings/debian-archive-keyring.gpg"), "debian-archive-keyring"),
    "ubuntu": (Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"), "ubuntu-keyring"),
}


def _must_have_keys(distro: Base) -> None:
    keyring, package = KEYRINGS[distro.image.partition(":")[0]]
    if not keyring.exists():
        raise UserError(
            f"the keys of {distro.title}'s archive are not on this machine: {keyring}",
            f"install them (the package {package}, if there is one), or build where a registry answers "
            f"for {distro.image}",
        )


def _mmdebstrap(distro: Base, mirror: str, tarball: Path, log_path: Path) -> None:
    """Calls mmdebstrap, which knows each suite's archive and adds a stable suite's updates and
    security."""
    tools.need("mmdebstrap")
    if not mirror:
        _must_have_keys(distro)
    argv = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates"]
    # As in a registry's image: a container that is thrown away need not survive a power cut.
    argv.append("--dpkgopt=force-unsafe-io")
    if distro.rolling:
        argv.append('--aptopt=Acquire::Check-Valid-Until "false"')
    argv += [distro.suite, str(tarball)]
    with log_path.open("w") as log:
        run([*argv, mirror] if mirror else argv, log=log)


def _only_pulled(distro: Base, mirror: str, tarball: Path, log_path: Path) -> None:
    """Refuses: dnf and zypper make a root only on their own systems."""
    raise UserError(
        f"no registry answers for {distro.image}, and no other place has a base image of {distro.title}",
        "let Debian's rpmbuild build the same packages: --rpm-host debian",
    )


# family -> writes the root file system of distro to a tar archive, from mirror ("": the default archive)
BOOTSTRAPS: dict[str, Callable[[Base, str, Path, Path], None]] = {
    "deb": _mmdebstrap,
    "rpm": _only_pulled,
}
