# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages under test as a local apt repository, on a disk that guests can read."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from debian.debfile import DebFile

from panicast_build import tools
from panicast_build.errors import UserError
from panicast_build.run import run

SLACK_MIB = 16
PACKAGES = ("panicast-dkms", "panicast-receiver")


@dataclass(frozen=True)
class Package:
    """A built .deb: the file, its control fields in their order, the SHA-256 of its bytes in hex."""

    path: Path
    control: dict[str, str]
    sha256: str

    @property
    def name(self) -> str:
        """As apt calls it."""
        return self.control["Package"]

    @property
    def version(self) -> str:
        """The Debian version."""
        return self.control["Version"]


def built(dist: Path, distro: str) -> list[Package]:
    """The packages under test in dist, one of each name; UserError says how to build what is missing."""
    found = []
    for name in PACKAGES:
        paths = sorted(dist.glob(f"{name}_*.deb"))
        if len(paths) != 1:
            problem = f"no {name}" if not paths else f"more than one {name}"
            raise UserError(f"{problem} in {dist}", f"build it: ./inv package --distro {distro}")
        found.append(_read(paths[0]))
    return found


def _read(path: Path) -> Package:
    control = {str(key): str(value) for key, value in DebFile(str(path)).debcontrol().items()}
    with path.open("rb") as data:
        return Package(path, control, hashlib.file_digest(data, "sha256").hexdigest())


def index(packages: Sequence[Package]) -> str:
    """The Packages file of a flat repository that holds packages."""
    paragraphs = []
    for package in packages:
        fields = {
            **package.control,
            "Filename": f"./{package.path.name}",
            "Size": str(package.path.stat().st_size),
            "SHA256": package.sha256,
        }
        paragraphs.append("".join(f"{key}: {value}\n" for key, value in fields.items()))
    return "\n".join(paragraphs)


def wants(packages: Sequence[Package]) -> str:
    """What apt would install along with packages, as one dependency list."""
    fields = ("Pre-Depends", "Depends", "Recommends")
    return ", ".join(sorted({p.control[field] for p in packages for field in fields if p.control.get(field)}))


def disk(packages: Sequence[Package], dest: Path) -> None:
    """Writes an ext4 file system with the repository to dest."""
    tools.need("mke2fs")
    with tempfile.TemporaryDirectory(dir=dest.parent) as folder:
        for package in packages:
            (Path(folder) / package.path.name).write_bytes(package.path.read_bytes())
        (Path(folder) / "Packages").write_text(index(packages))
        # Its user shall be able to read it: apt fetches as one who is not root.
        Path(folder).chmod(0o755)
        size = sum(package.path.stat().st_size for package in packages) // 2**20 + SLACK_MIB
        run([tools.find("mke2fs") or "mke2fs", "-q", "-t", "ext4", "-d", folder, dest, f"{size}M"])
