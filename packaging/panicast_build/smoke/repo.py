# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages under test, and the disk on which the guests' package manager finds them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from panicast_build import tools
from panicast_build.dist import sha256
from panicast_build.errors import UserError
from panicast_build.run import run

SLACK_MIB = 16
PACKAGES = ("panicast-dkms", "panicast-receiver")


@dataclass(frozen=True)
class Package:
    """A built package: the file, its name and version as its package manager has them, the SHA-256 in hex."""

    path: Path
    name: str
    version: str
    sha256: str


def built(dist: Path, distro: str, pattern: str, version: Callable[[Path], str]) -> list[Package]:
    """The packages under test in dist, one of each name; UserError says how to build what is missing.

    pattern is what the file of a {name} is called, version tells a file's.
    """
    found = []
    for name in PACKAGES:
        paths = sorted(dist.glob(pattern.format(name=name)))
        if len(paths) != 1:
            problem = f"no {name}" if not paths else f"more than one {name}"
            raise UserError(f"{problem} in {dist}", f"build it: ./inv package --distro {distro}")
        found.append(Package(paths[0], name, version(paths[0]), sha256(paths[0])))
    return found


def disk(packages: Sequence[Package], index: Callable[[Path], None], dest: Path) -> None:
    """Writes an ext4 file system with packages to dest; index makes the folder of them a repository."""
    tools.need("mke2fs")
    with tempfile.TemporaryDirectory(dir=dest.parent) as folder:
        for package in packages:
            shutil.copy(package.path, folder)
        index(Path(folder))
        # Its user shall be able to read it: apt fetches as one who is not root.
        Path(folder).chmod(0o755)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*")) // 2**20 + SLACK_MIB
        run([tools.find("mke2fs") or "mke2fs", "-q", "-t", "ext4", "-d", folder, dest, f"{size}M"])
