# SPDX-License-Identifier: GPL-2.0-or-later
"""What one build is asked for, whatever the family: the component, its sources and the
surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker

from panicast_build.build import source
from panicast_build.build.pins import Pinned
from panicast_build.engine.surroundings import USUAL, Surroundings
from panicast_build.targets.metadata import Component, Project


@dataclass(frozen=True)
class Order:
    """Asks for one component's packages for one distro.

    pinned is all that the image may be made of (None: anything). sources are the
    component's files by name (None: those of the tree). epoch is the time that the packages state,
    in seconds since 1970 (None: the commit's). around are the surroundings, which must not
    influence the bytes.
    """

    client: docker.DockerClient
    project: Project
    component: Component
    pinned: Pinned | None = None
    sources: Mapping[str, Path | bytes] | None = None
    epoch: int | None = None
    around: Surroundings = USUAL

    @property
    def files(self) -> Mapping[str, Path | bytes]:
        """Returns the component's sources by their path."""
        return source.files(self.component.name) if self.sources is None else self.sources

    @property
    def time(self) -> int:
        """Returns the time that the packages state, in seconds since 1970."""
        return source.epoch() if self.epoch is None else self.epoch
