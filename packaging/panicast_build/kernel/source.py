# SPDX-License-Identifier: GPL-2.0-or-later
"""Gets a kernel's source: the distro's newest source package, or the user's tarball."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.build import dist
from panicast_build.core import progress
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import CACHE, LOGS
from panicast_build.engine.container import Container
from panicast_build.targets.distros import DebDistro

FOLDER = CACHE / "kernel-source"
TARBALL, SRPM = "linux*.tar*", "*.src.rpm"
UNPACKED, GIVEN = "/package", "/source"
# What `apt-get download --print-uris` says: 'URI' NAME BYTES HASH
URI = re.compile(r"^'\S+' (\S+\.deb) \d+ \S+$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """Files of this machine: packages, or one tarball. version is the packages' ("" for a tarball,
    whose Makefile states it). config is where the distro's own configuration is unpacked ("" for
    nowhere)."""

    files: tuple[Path, ...]
    version: str = ""
    config: str = ""

    @property
    def packaged(self) -> bool:
        """Tells whether it has packaging and a configuration of its own."""
        return bool(self.config) or all(fnmatch(path.name, SRPM) for path in self.files)

    def inputs(self) -> dict[str, str]:
        """Returns the hashes of the files by name."""
        return {path.name: dist.sha256(path) for path in self.files}

    def unpack(self, box: Container, tree: str, user: str, log: TextIO) -> str:
        """Unpacks the kernel's source, and of packages everything, as user. Returns the path of the
        source's tarball."""
        box.run(["mkdir", "--mode=777", tree, UNPACKED, GIVEN], log=log)
        for path in self.files:
            box.put(path, GIVEN)
            if path.suffix == ".deb":
                box.run(["dpkg-deb", "--extract", f"{GIVEN}/{path.name}", UNPACKED], log=log)
        places = [GIVEN, UNPACKED, "-type", "f", "-name", TARBALL]
        found = box.run(["find", *places], log=log).output.split()
        if len(found) != 1:
            raise BuildError(
                f"{len(found)} kernel tarballs, not one, in {', '.join(self.inputs())}", Path(log.name)
            )
        box.run(["tar", "-xf", found[0], "-C", tree, "--strip-components=1"], user=user, log=log)
        return found[0]


def own(name: str) -> Source:
    """Returns the user's tarball or source RPM. Raises UserError if it does not exist."""
    path = Path(name).expanduser().resolve()
    if not path.is_file() or not any(fnmatch(path.name, pattern) for pattern in (TARBALL, SRPM)):
        raise UserError(
            f"{name} is not a kernel's source, or does not exist",
            "give the path of a tarball, e.g. linux-6.12.9.tar.xz, or of a .src.rpm, or leave --source out "
            "for the distro's own",
        )
    return Source((path,))


def newest(client: docker.DockerClient, image: str, distro: DebDistro, flavour: str = "") -> Source:
    """Returns the distro's newest kernel source and a flavour's configuration, from its archive or
    the cache.

    If the archive does not answer, it uses the newest of the time when the image was made, if the
    cache has it.
    """
    if not distro.kernel_source:
        raise UserError(f"{distro.name} has no known kernel source package", "give your own: --source")
    packages = [distro.kernel_source, distro.kernel_config]
    FOLDER.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"kernel-source-{distro.name}.log"
    with log_path.open("w") as log, Container(client, image, network="host") as box:
        update = box.run(["apt-get", "update"], log=log, check=False).output
        if re.search(r"^(Err|E|W):.*", update, re.MULTILINE):
            progress.say(
                f"{distro.name}: the package archive does not answer; its lists may be old ({log_path})"
            )
        listed = box.run(["apt-get", "download", "--print-uris", *packages], log=log, check=False)
        found = URI.findall(listed.output)
        names = [name for package in packages for name in found if name.startswith(f"{package}_")]
        if len(names) != len(packages):
            raise BuildError(f"the archive of {distro.name} has no {' or no '.join(packages)}", log_path)
        files = tuple(FOLDER / name for name in names)
        if not all(path.exists() for path in files):
            with progress.step(f"downloading {', '.join(names)}", log=log_path):
                box.run(["mkdir", UNPACKED], log=log)
                box.run(["apt-get", "download", *packages], log=log, cwd=UNPACKED)
                for name, package in zip(names, packages, strict=True):
                    keep(box, f"{UNPACKED}/{name}", f"{package}_")
    _, version, _ = names[0].split("_")
    configured = distro.kernel_config_file.format(flavour=flavour)
    return Source(files, version.replace("%3a", ":"), f"{UNPACKED}/{configured}")


def keep(box: Container, path: str, stem: str) -> Path:
    """Moves a package from box into the cache, atomically, and deletes older ones that begin with
    stem."""
    name = Path(path).name
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".part-") as part:
        box.get(path, Path(part))
        for stale in FOLDER.glob(f"{stem}*"):
            stale.unlink()
        return (Path(part) / name).rename(FOLDER / name)
