# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the patched kernel as Debian packages, by the kernel's own bindeb-pkg."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.core import progress
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.kernel import build, config, debsource, estimate, source, tree
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import BUILD, TREE, USER, Prepared
from panicast_build.targets.distros import DebDistro
from panicast_build.targets.metadata import Project

# Which of our changes to a source package's kernel this is: a part of the packages' version.
REVISION = 1
MKDEBIAN = f"{TREE}/scripts/package/mkdebian"


class Build:
    """Builds one configuration of one distro's kernel. Two builds with equal inputs() give the same
    packages."""

    def __init__(
        self, client: docker.DockerClient, project: Project, distro: DebDistro, options: Options
    ) -> None:
        self._client = client
        self._project = project
        self._distro = distro
        self.options = options
        self.image = images.build(client, distro, "kernel-deb")
        if options.source:
            config.must_have_base(options.wanted.config, options.source)
            self._source = source.own(options.source)
        else:
            self._source = source.newest(client, self.image, distro, options.wanted.config.flavour)
        self.cpu_seconds = 0.0

    def inputs(self) -> dict[str, object]:
        """Returns everything that the packages' bytes depend on."""
        return build.inputs(self._client, self.image, self._source, self.options)

    def run(self, into: Path, log: TextIO) -> None:
        """Writes the packages, .changes and .buildinfo into the folder into."""
        with build.workshop(self._client, self.image, self.options, log) as (box, jobs, environment):
            prepared = self.prepare(box, log)
            if self.options.wanted.config.published:
                self.add_source(box, prepared, log)
            self.make(box, prepared, jobs, environment, log)
            for path in box.run(["find", BUILD, "-maxdepth", "1", "-type", "f"]).output.split():
                box.get(path, into)
            self.cpu_seconds = box.cpu_seconds()

    def prepare(self, box: Container, log: TextIO) -> Prepared:
        """Prepares the tree in box up to `make`."""
        prepared = tree.prepare(box, self._source, self.options.wanted, log)
        words = {
            build.ENTRY: build.entry(self._project, self._of(prepared), self.options),
            "$(date -R)": f"$(date -R -u -d @{prepared.epoch})",
        }
        build.reword(box, MKDEBIAN, words, Path(log.name))
        return prepared

    def add_source(self, box: Container, prepared: Prepared, log: TextIO) -> None:
        """Leaves in BUILD what is published beside the kernel."""
        words = build.entry(self._project, self._of(prepared), self.options)
        kernel = debsource.BuiltKernel(self._version(prepared), words, self._variables(prepared))
        with progress.step("packing its source", log=Path(log.name)):
            debsource.add(box, self._project, self._distro, self.options.wanted, prepared, kernel, log)

    def make(
        self, box: Container, prepared: Prepared, jobs: int, environment: Mapping[str, str], log: TextIO
    ) -> None:
        """Compiles and packs the tree in box."""
        with progress.step("compiling and packing", log=Path(log.name)) as step:
            box.run(
                ["make", f"--jobs={jobs}", "bindeb-pkg"],
                log=log,
                cwd=TREE,
                user=USER,
                env={**environment, **self._variables(prepared)},
                watch=estimate.follower(step, self.options.wanted.config.objects),
            )

    def _of(self, prepared: Prepared) -> str:
        """Returns the version of the source."""
        return self._source.version or prepared.version

    def _version(self, prepared: Prepared) -> str:
        """Returns a version newer than the distro's own package of the same source, and older than
        its next."""
        suffix = self.options.wanted.config.version_suffix
        return f"{self._of(prepared)}+{self._project.name}{REVISION}{suffix}"

    def _variables(self, prepared: Prepared) -> dict[str, str]:
        return {
            "KDEB_SOURCENAME": f"linux-{self._project.name}",
            "KDEB_PKGVERSION": self._version(prepared),
            "KDEB_CHANGELOG_DIST": self._distro.suite,
            "DEBEMAIL": self._project.maintainer,
            **build.reproducible(self._project, prepared),
        }
