# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of a build, whatever the family: of which component, from which sources, in which place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker

from panicast_build.build import source
from panicast_build.engine.surroundings import USUAL, Surroundings
from panicast_build.targets.metadata import Component, Project


@dataclass(frozen=True)
class Order:
    """One component's packages for one distro.

    packages are the only versions that the image may be made of (None: any). sources are the component's
    files by name (None: those of the tree). epoch is the time in seconds since 1970 that the packages say
    (None: that of the commit). around is what must not matter.
    """

    client: docker.DockerClient
    project: Project
    component: Component
    packages: Mapping[str, str] | None = None
    sources: Mapping[str, Path | bytes] | None = None
    epoch: int | None = None
    around: Surroundings = USUAL

    @property
    def files(self) -> Mapping[str, Path | bytes]:
        """The sources of the component, by their path."""
        return source.files(self.component.name) if self.sources is None else self.sources

    @property
    def time(self) -> int:
        """The time that the packages say."""
        return source.epoch() if self.epoch is None else self.epoch
