# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds RPMs: puts sources and a rendered spec into a container and takes the packages out.

The container is the distro's own image if a registry has it (host "real"), else Debian with the
macros that its rpmbuild lacks (host "debian").
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.build import pinned, pins, rpmroot
from panicast_build.build.order import Order
from panicast_build.build.pins import Pinned
from panicast_build.core import archive, choice, progress, templating
from panicast_build.core.paths import ROOT
from panicast_build.engine import images
from panicast_build.targets import changelog, distros, metadata, vendored
from panicast_build.targets.distros import Distro, RpmDistro
from panicast_build.targets.metadata import Component, Project

TEMPLATES = ROOT / "packaging" / "templates" / "rpm"
# One path for every build: it ends up in the bytes.
BUILD = "/build"
RELEASE = "1"
AUTO, REAL, DEBIAN = "auto", "real", "debian"
DEBIAN_HOST = "debian-12"
# What makes the same inputs give the same bytes: one macro for each thing that would tell builds apart.
REPRODUCIBLE = {
    "_topdir": BUILD,
    "_buildhost": "panicast",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "build_mtime_policy": "clamp_to_source_date_epoch",
}


def render(
    project: Project,
    component: Component,
    distro: RpmDistro,
    epoch: int,
    release: str = RELEASE,
    more: Mapping[str, object] | None = None,
) -> dict[str, bytes]:
    """Returns the rendered spec of a component, and the sources that are templates, by file name. The
    templates know more besides."""
    top = TEMPLATES / component.templates
    environment = templating.environment(top, templating.SHARED)
    values = {
        "project": project,
        "package": component.package,
        "distro": distro,
        "manager": rpmroot.MANAGERS[distro.manager],
        "release": release,
        "date": datetime.fromtimestamp(epoch, UTC).strftime("%a %b %d %Y"),
        "changelog": changelog.rpm(
            changelog.of(project.version), f"{release}{distro.dist}", project.maintainer, epoch
        ),
        "vendored": {vendored.distribution(name): vendored.version(name) for name in distro.vendored},
        "licences": ["GPL-2.0-or-later", *vendored.licences(distro.vendored)],
        **(more or {}),
    }
    rendered = {name: environment.get_template(name).render(values) for name in archive.read_tree(top)}
    # The spec is called as its package, of which several kernels may have one each.
    return {
        name.replace(f"{component.templates}.spec", f"{component.package}.spec"): text.encode()
        for name, text in rendered.items()
    }


def host(client: docker.DockerClient, distro: RpmDistro, wanted: str) -> str:
    """Returns where the RPMs of a distro are built, REAL or DEBIAN; AUTO asks whether a registry
    has its image."""
    choice.check("--rpm-host", wanted, (REAL, DEBIAN, AUTO))
    if wanted != AUTO:
        return wanted
    return REAL if images.obtainable(client, distro) else DEBIAN


def base(client: docker.DockerClient, distro: Distro, wanted: str) -> Distro:
    """Returns the target on whose base image the packages of a distro are built."""
    return distros.by_family(
        distro,
        deb=lambda target: target,
        rpm=lambda target: target if host(client, target, wanted) == REAL else distros.get(DEBIAN_HOST),
    )


def build_requires(project: Project, distro: RpmDistro) -> list[str]:
    """Returns the build dependencies of all components' specs."""
    specs = [render(project, component, distro, 0) for component in metadata.of_family("rpm")]
    text = "\n".join(files[name].decode() for files in specs for name in files if name.endswith(".spec"))
    return sorted(set(re.findall(r"^BuildRequires:\s+(\S+)", text, re.MULTILINE)))


def host_image(
    client: docker.DockerClient,
    project: Project,
    distro: RpmDistro,
    kind: str,
    exactly: Pinned | None = None,
) -> str:
    """Returns the tag of the image that rpmbuild runs in, for a host(). With exactly given, the
    image is made of just that."""
    if kind == DEBIAN:
        debian = distros.get(DEBIAN_HOST)
        if exactly is not None:
            return pinned.image(client, debian, "build-rpm-debian", {}, exactly)
        return images.build(client, debian, "build-rpm-debian")
    packages = " ".join(build_requires(project, distro))
    arguments = {"SETUP": distro.setup, "INSTALL": distro.install, "PACKAGES": packages}
    parent = pins.base(client, distro, exactly) if exactly else ""
    tag = images.build(client, distro, "build-rpm", buildargs=arguments, parent=parent)
    if exactly is not None:
        # dnf cannot be held to versions as apt can: what it installed may not be what was recorded.
        pins.check(client, tag, exactly.packages)
    return tag


def _archive(files: Mapping[str, Path | bytes], prefix: str, epoch: int) -> bytes:
    """Returns a .tar.gz whose bytes depend only on its contents."""
    tar = io.BytesIO()
    archive.write_tar(tar, files, mtime=epoch, prefix=prefix)
    return gzip.compress(tar.getvalue(), mtime=0)


def sources(
    project: Project,
    component: Component,
    distro: RpmDistro,
    epoch: int,
    files: Mapping[str, Path | bytes],
    release: str = RELEASE,
    more: Mapping[str, object] | None = None,
) -> dict[str, bytes]:
    """Returns the contents of a source RPM, made from a component's files: the spec, its sources that
    are templates, and its archives, by file name. The templates know more besides."""
    made = render(project, component, distro, epoch, release, more)
    top = f"{component.package}-{project.version}"
    made[f"{top}.tar.gz"] = _archive({**files, "LICENSE": ROOT / "LICENSE"}, f"{top}/", epoch)
    if "vendored.tar.gz" in made[f"{component.package}.spec"].decode():
        made["vendored.tar.gz"] = _archive(vendored.files(distro.vendored), "vendored/", epoch)
    return made


class Build:
    """Builds one component's packages for one distro. Two builds with equal inputs() give the same
    packages."""

    def __init__(self, order: Order, distro: RpmDistro, wanted_host: str = AUTO) -> None:
        project, component = order.project, order.component
        self._client, self._order = order.client, order
        self._epoch = order.time
        self._host = host(order.client, distro, wanted_host)
        if self._host == DEBIAN:
            progress.say(f"{distro.name}: {component.package} is built by Debian's rpmbuild (--rpm-host)")
        self._spec = f"{component.package}.spec"
        self._dist = distro.dist
        self._files = sources(
            project, component, distro, self._epoch, order.files, RELEASE + order.suffix, order.values
        )
        self._image = order.image or host_image(order.client, project, distro, self._host, order.pinned)
        self._around = order.around
        self._environment = {"SOURCE_DATE_EPOCH": str(self._epoch)}

    def inputs(self) -> dict[str, object]:
        """Returns everything that the packages' bytes depend on."""
        return {
            "host": self._host,
            "sources": {name: hashlib.sha256(text).hexdigest() for name, text in self._files.items()},
            "image": pins.of(self._client, self._image),
            "environment": self._environment,
            "builder": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
            **self._order.signed_by,
        }

    def argv(self) -> list[str]:
        """Returns the rpmbuild command.

        Debian's rpmbuild does not know the target's dist tag, nor, from its package database, what
        is installed: so we name the first and skip the check of the second.
        """
        macros = dict(REPRODUCIBLE)
        extra = []
        if self._host == DEBIAN:
            macros["dist"] = self._dist or "%{nil}"
            extra = ["--nodeps"]
        defines = [word for name, body in macros.items() for word in ("--define", f"{name} {body}")]
        return ["rpmbuild", "-ba", *extra, *defines, f"{BUILD}/SPECS/{self._spec}"]

    def run(self, into: Path, log: TextIO) -> None:
        """Writes the binary and source packages and the rendered spec into the folder into."""
        around = self._around
        with self._order.container(self._image, self._environment) as box:
            box.run(["mkdir", "-p", f"{BUILD}/SPECS", f"{BUILD}/SOURCES"], log=log)
            spec = {self._spec: self._files[self._spec]}
            others = {name: text for name, text in self._files.items() if name != self._spec}
            box.write(spec, f"{BUILD}/SPECS", mtime=self._epoch)
            box.write(others, f"{BUILD}/SOURCES", mtime=self._epoch)
            self._order.give(box, BUILD, log)
            # The source RPM says whose they are, and the others have a hash of it.
            box.run(["chown", "-R", "root:root", f"{BUILD}/SPECS", f"{BUILD}/SOURCES"], log=log)
            box.run(around.argv(self.argv()), log=log, user=around.user, cwd=BUILD)
            found = box.run(["find", BUILD, "-name", "*.rpm"], log=log).output.split()
            for path in [*found, f"{BUILD}/SPECS/{self._spec}"]:
                box.get(path, into)
