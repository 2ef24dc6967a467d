# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages: sources and rendered packaging go into a container, packages come out."""

from __future__ import annotations

import email.utils
import hashlib
import io
import os
from pathlib import Path
from typing import TextIO

import docker

from panicast_build import archive, images, source, templating, vendored
from panicast_build.container import Container
from panicast_build.distros import DebDistro, Distro
from panicast_build.metadata import Component, Project
from panicast_build.paths import ROOT

TEMPLATES = ROOT / "packaging" / "templates" / "deb"
# One path for every build: it may end up in the bytes.
BUILD = "/build"
USER = "builder"
RECEIVER = "receiver"
REVISION = "1"


def version(project: Project, distro: DebDistro) -> str:
    """The version of the distro's packages, Debian revision included."""
    return f"{project.version}-{REVISION}{distro.version_suffix}"


def render(project: Project, component: Component, distro: DebDistro, epoch: int) -> dict[str, bytes]:
    """The debian/ folder of a component by path within it, its templates filled in."""
    top = TEMPLATES / component.package
    environment = templating.environment(top, TEMPLATES / "shared", lines=False)
    values = {
        "project": project,
        "package": component.package,
        "distro": distro,
        "version": version(project, distro),
        "date": email.utils.formatdate(epoch),
    }
    return {name: environment.get_template(name).render(values).encode() for name in archive.read_tree(top)}


def taken_along(component: Component, distro: DebDistro) -> dict[str, Path]:
    """The Python modules that the receiver's source has beside its own, by their path in it."""
    modules = distro.vendored if component.name == RECEIVER else []
    return {f"vendored/{name}": path for name, path in vendored.files(modules).items()}


class Build:
    """One component's packages for one distro: inputs() tells builds apart, run() makes the files."""

    def __init__(
        self, client: docker.DockerClient, project: Project, component: Component, distro: Distro
    ) -> None:
        assert isinstance(distro, DebDistro)
        self._client = client
        self._epoch = source.epoch()
        self._name = f"{component.package}-{project.version}"
        self._orig_name = f"{component.package}_{project.version}.orig.tar"
        self._orig = io.BytesIO()
        sources = {**source.files(component.name), **taken_along(component, distro)}
        archive.write_tar(self._orig, sources, mtime=self._epoch, prefix=f"{self._name}/")
        self._debian = render(project, component, distro, self._epoch)
        self._image = images.build(client, distro, "build-deb")
        self._environment = {
            "SOURCE_DATE_EPOCH": str(self._epoch),
            "DEB_BUILD_OPTIONS": os.environ.get("DEB_BUILD_OPTIONS", ""),
        }

    def inputs(self) -> dict[str, object]:
        """Everything the bytes of the packages depend on: the same inputs give the same bytes."""
        return {
            "source": hashlib.sha256(self._orig.getvalue()).hexdigest(),
            "packaging": images.digest({name: text.decode() for name, text in self._debian.items()}),
            "image": {"tag": self._image, "id": self._client.images.get(self._image).id},
            "environment": self._environment,
            "builder": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        }

    def run(self, into: Path, log: TextIO) -> None:
        """Leaves the binary and source packages, .changes and .buildinfo in the folder into."""
        tree = f"{BUILD}/{self._name}"
        with Container(self._client, self._image, env=self._environment) as box:
            box.run(["mkdir", "-p", tree], log=log)
            box.write({self._orig_name: self._orig.getvalue()}, BUILD, mtime=self._epoch)
            box.run(["gzip", "-9n", self._orig_name], log=log, cwd=BUILD)
            box.run(["tar", "-xzf", f"{self._orig_name}.gz"], log=log, cwd=BUILD)
            debian = {f"debian/{name}": text for name, text in self._debian.items()}
            box.write(debian, tree, mtime=self._epoch)
            box.run(["chown", "-R", f"{USER}:", BUILD], log=log)
            box.run(["dpkg-buildpackage", "-us", "-uc", "-sa"], log=log, user=USER, cwd=tree)
            found = box.run(["find", BUILD, "-maxdepth", "1", "-type", "f"], log=log).output.split()
            for path in found:
                box.get(path, into)
