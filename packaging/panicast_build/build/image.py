# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv image: makes the receiver's container image of its package, into dist/DISTRO/image/, with
the files of a compose project that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import docker

from panicast_build.build import assemble, deb, dist, package, source
from panicast_build.core import archive, paths, templating
from panicast_build.core.errors import UserError
from panicast_build.engine import engine, images, shipped
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import DebDistro, Distro
from panicast_build.targets.metadata import Project

# The Containerfile, and what is in the image.
NAME = "receiver"
TEMPLATES = paths.ROOT / "packaging" / "templates" / "compose"
# What the receiver's package has for its watchers, too.
WATCHERS = ("grafana-dashboard.json", "prometheus-rules.yml")


def run(names: str) -> None:
    """Makes the images of a comma list of distros (or "all"), and their packages if those have
    changed. SOURCE_DATE_EPOCH is the time that they state, else that of the commit."""
    chosen = [distros.by_family(distro, deb=lambda target: target, rpm=_no_image) for distro in select(names)]
    for distro in chosen:
        package.run(distro.name, deb.RECEIVER)
        project, target = metadata.load(), paths.image_target(distro.name)
        with dist.locked(target):
            build = Build(engine.connect(), project, distro)
            assemble.fill(target, project, {NAME: build}, {NAME: f"the image {build.name}"})


def select(names: str) -> list[Distro]:
    """Returns the targets of a comma list; "all" are those that have an image."""
    if names == distros.ALL:
        return [distro for distro in distros.of_family(DebDistro).values() if not distro.components]
    return distros.select(names)


def _no_image(distro: Distro) -> DebDistro:
    raise UserError(
        f"the image is made of Debian packages, and {distro.name} has none",
        "say --distro debian-12 or debian-13: a container brings its own system along",
    )


class Build:
    """Makes the image, named name, for one distro."""

    def __init__(self, client: docker.DockerClient, project: Project, distro: DebDistro) -> None:
        self._client, self._distro, self._epoch = client, distro, source.epoch()
        self._package, self._compose = _package(distro), compose(project)
        self.name = name(project)

    def inputs(self) -> dict[str, object]:
        """Returns everything that the image depends on; of the distro's archive only the base image."""
        base = self._client.images.get(images.base(self._client, self._distro))
        return {
            "name": self.name,
            "base": base.id,
            "containerfile": dist.sha256(images.recipe(NAME)),
            "package": dist.describe(self._package),
            "compose": images.digest({file: text.decode() for file, text in self._compose.items()}),
            "time": self._epoch,
        }

    def run(self, into: Path, log: TextIO) -> None:
        """Writes the image's archive, and the files of the compose project."""
        tag = images.build(
            self._client,
            self._distro,
            NAME,
            buildargs={"SOURCE_DATE_EPOCH": str(self._epoch)},
            more={self._package.name: self._package},
        )
        machine = self._client.images.get(tag).attrs["Architecture"]
        made = into / f"{self.name.replace(':', '_')}_{machine}.oci.tar"
        shipped.write(self._client, tag, self.name, self._epoch, made)
        log.write(f"{tag} is in {made.name}\n")
        for file, text in self._compose.items():
            (into / file).write_bytes(text)


def name(project: Project) -> str:
    """Returns what the image is called: REPOSITORY:VERSION."""
    return f"panicast-receiver:{project.version}"


def compose(project: Project) -> dict[str, bytes]:
    """Returns the files of the compose project by name."""
    environment = templating.environment(TEMPLATES)
    rendered = {
        file: environment.get_template(file).render(image=name(project)).encode()
        for file in archive.read_tree(TEMPLATES)
    }
    return rendered | {file: (paths.ROOT / "receiver" / "dist" / file).read_bytes() for file in WATCHERS}


def _package(distro: DebDistro) -> Path:
    """Returns the receiver's package in dist/."""
    built = dist.read(distro.name)["components"][deb.RECEIVER]["files"]
    (file,) = (str(entry["file"]) for entry in built if entry["file"].endswith("_all.deb"))
    return paths.dist_dir(distro.name) / file
