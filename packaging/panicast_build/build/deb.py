# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds Debian packages: puts sources and rendered packaging into a container and takes the
packages out."""

from __future__ import annotations

import email.utils
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import docker
from debian.deb822 import Deb822

from panicast_build.build import pinned, pins
from panicast_build.build.order import Order
from panicast_build.build.pins import Pinned
from panicast_build.core import archive, templating
from panicast_build.core.paths import ROOT
from panicast_build.engine import images
from panicast_build.targets import changelog, metadata, vendored
from panicast_build.targets.distros import DebDistro
from panicast_build.targets.metadata import Component, Project

TEMPLATES = ROOT / "packaging" / "templates" / "deb"
# One path for every build: it may end up in the bytes.
BUILD = "/build"
RECEIVER = "receiver"
REVISION = "1"


def version(project: Project, distro: DebDistro, suffix: str = "") -> str:
    """Returns the version of the distro's packages, Debian revision included."""
    return f"{project.version}-{REVISION}{distro.version_suffix}{suffix}"


def render(
    project: Project,
    component: Component,
    distro: DebDistro,
    epoch: int,
    suffix: str = "",
    more: Mapping[str, object] | None = None,
) -> dict[str, bytes]:
    """Returns the debian/ folder of a component (path within it -> contents), with its templates
    rendered. suffix is appended to the version; the templates know more besides."""
    top = TEMPLATES / component.templates
    environment = templating.environment(top, TEMPLATES / "shared", templating.SHARED, lines=False)
    values = {
        "project": project,
        "package": component.package,
        "distro": distro,
        "version": version(project, distro, suffix),
        "date": email.utils.formatdate(epoch),
        "changelog": changelog.debian(
            changelog.of(project.version),
            component.package,
            version(project, distro, suffix),
            distro.suite,
            project.maintainer,
            epoch,
        ),
        **(more or {}),
    }
    return {name: environment.get_template(name).render(values).encode() for name in archive.read_tree(top)}


def taken_along(component: Component, distro: DebDistro) -> dict[str, Path]:
    """Returns the Python modules that are bundled with the receiver's source, by their path in it."""
    modules = distro.vendored if component.name == RECEIVER else []
    return {f"vendored/{name}": path for name, path in vendored.files(modules).items()}


def upstream(
    component: Component, distro: DebDistro, files: Mapping[str, Path | bytes]
) -> dict[str, Path | bytes]:
    """Returns the contents of a component's source archive, made from its files, by path."""
    return {**files, **taken_along(component, distro), "LICENSE": ROOT / "LICENSE"}


def build_depends(project: Project, distro: DebDistro) -> str:
    """Returns the build dependencies of all components as one dependency list."""
    controls = [
        Deb822(render(project, component, distro, 0)["control"])
        for component in metadata.of_distro(distro.family, distro.components)
    ]
    wanted = {word.strip() for control in controls for word in control["Build-Depends"].split(",")}
    return ", ".join(sorted(filter(None, wanted)))


def image(
    client: docker.DockerClient,
    project: Project,
    distro: DebDistro,
    exactly: Pinned | None = None,
) -> str:
    """Returns the tag of the image that builds packages. With exactly given, the image is made of
    just that."""
    arguments = {"DEPENDS": build_depends(project, distro)}
    if exactly is None:
        return images.build(client, distro, "build-deb", buildargs=arguments)
    return pinned.image(client, distro, "build-deb", arguments, exactly)


class Build:
    """Builds one component's packages for one distro. Two builds with equal inputs() give the same
    packages."""

    def __init__(self, order: Order, distro: DebDistro) -> None:
        project, component = order.project, order.component
        self._client, self._order = order.client, order
        self._epoch = order.time
        self._name = f"{component.package}-{project.version}"
        self._orig_name = f"{component.package}_{project.version}.orig.tar"
        self._orig = io.BytesIO()
        files = upstream(component, distro, order.files)
        archive.write_tar(self._orig, files, mtime=self._epoch, prefix=f"{self._name}/")
        self._debian = render(project, component, distro, self._epoch, order.suffix, order.values)
        self._image = order.image or image(order.client, project, distro, order.pinned)
        self._around = order.around
        self._environment = {
            "SOURCE_DATE_EPOCH": str(self._epoch),
            "DEB_BUILD_OPTIONS": os.environ.get("DEB_BUILD_OPTIONS", ""),
        }

    def inputs(self) -> dict[str, object]:
        """Returns everything that the packages' bytes depend on."""
        return {
            "source": hashlib.sha256(self._orig.getvalue()).hexdigest(),
            "packaging": images.digest({name: text.decode() for name, text in self._debian.items()}),
            "image": pins.of(self._client, self._image),
            "environment": self._environment,
            "builder": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
            **self._order.signed_by,
        }

    def run(self, into: Path, log: TextIO) -> None:
        """Writes the binary and source packages, .changes and .buildinfo into the folder into."""
        tree = f"{BUILD}/{self._name}"
        around = self._around
        with self._order.container(self._image, self._environment) as box:
            box.run(["mkdir", "-p", tree], log=log)
            box.write({self._orig_name: self._orig.getvalue()}, BUILD, mtime=self._epoch)
            box.run(["gzip", "-9n", self._orig_name], log=log, cwd=BUILD)
            box.run(["tar", "-xzf", f"{self._orig_name}.gz"], log=log, cwd=BUILD)
            debian = {f"debian/{name}": text for name, text in self._debian.items()}
            box.write(debian, tree, mtime=self._epoch)
            self._order.give(box, BUILD, log)
            argv = ["dpkg-buildpackage", "-us", "-uc", "-sa", *self._order.options]
            box.run(around.argv(argv), log=log, user=around.user, cwd=tree)
            found = box.run(["find", BUILD, "-maxdepth", "1", "-type", "f"], log=log).output.split()
            for path in found:
                box.get(path, into)
