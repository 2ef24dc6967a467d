# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages under test, and the repository in which the guests' package manager finds them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from panicast_build.build.dist import sha256
from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.core.run import run

# Where a guest finds the repository.
MOUNTED = "/srv/panicast"
SLACK_MIB = 16
# Disks are as large as a multiple of this.
DISK_MIB = 256
PACKAGES = ("panicast-common", "panicast-dkms", "panicast-receiver")


@dataclass(frozen=True)
class Package:
    """A built package: the file, its name and version as its package manager has them, the SHA-256
    in hex."""

    path: Path
    name: str
    version: str
    sha256: str


def built(dist: Path, distro: str, pattern: str, version: Callable[[Path], str]) -> list[Package]:
    """Returns the packages under test in dist, one of each name. Raises UserError, which says how
    to build what is missing.

    pattern is the file name of {name}; version returns a file's version.
    """
    found = []
    for name in PACKAGES:
        paths = sorted(dist.glob(pattern.format(name=name)))
        if len(paths) != 1:
            problem = f"no {name}" if not paths else f"more than one {name}"
            raise UserError(f"{problem} in {dist}", f"build it: ./inv package --distro {distro}")
        found.append(Package(paths[0], name, version(paths[0]), sha256(paths[0])))
    return found


def fill(packages: Sequence[Package], index: Callable[[Path], None], folder: Path) -> None:
    """Makes a folder a repository of packages, indexed by index."""
    folder.mkdir()
    for package in packages:
        shutil.copy(package.path, folder)
    index(folder)
    # apt fetches as one who is not root, whatever the umask is.
    folder.chmod(0o755)


def disk(repository: Path, dest: Path) -> None:
    """Writes an ext4 file system with the contents of the folder repository to dest."""
    tools.need("mke2fs")
    used = sum(path.stat().st_size for path in repository.rglob("*")) // 2**20 + SLACK_MIB
    # A guest that has booted knows how large the disk is, whatever is on it.
    size = -(-used // DISK_MIB) * DISK_MIB
    run([tools.find("mke2fs") or "mke2fs", "-q", "-t", "ext4", "-d", repository, dest, f"{size}M"])
