# SPDX-License-Identifier: GPL-2.0-or-later
"""Describes one build, whatever the family: the component, its sources and the surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.build import signing, source
from panicast_build.build.pins import Pinned
from panicast_build.build.signing import ModuleKey
from panicast_build.engine.container import Container
from panicast_build.engine.surroundings import USUAL, Surroundings
from panicast_build.targets.metadata import Component, Project


@dataclass(frozen=True)
class Order:
    """Asks for one component's packages for one distro.

    pinned is all that the image may be made of (None: anything). sources are the
    component's files by name (None: those of the tree). epoch is the time that the packages state,
    in seconds since 1970 (None: the commit's). around are the surroundings, which must not
    influence the bytes.

    What is built for one kernel also has: values, which its templates know besides; image, the tag
    of the image to build in ("": the usual one); suffix, appended to the packages' version; options
    for the command that builds them; and key, which signs its modules.
    """

    client: docker.DockerClient
    project: Project
    component: Component
    pinned: Pinned | None = None
    sources: Mapping[str, Path | bytes] | None = None
    epoch: int | None = None
    around: Surroundings = USUAL
    values: Mapping[str, object] = field(default_factory=dict)
    image: str = ""
    suffix: str = ""
    options: tuple[str, ...] = ()
    key: ModuleKey | None = None

    @property
    def signed_by(self) -> dict[str, object]:
        """Returns what a build's inputs say of the key; {} if there is none."""
        return {"key": self.key.fingerprint} if self.key else {}

    def container(self, image: str, environment: Mapping[str, str]) -> Container:
        """Returns the container to build in. It has no network."""
        memory = signing.TMPFS if self.key else {}
        return self.around.container(self.client, image, environment, memory)

    def give(self, box: Container, folder: str, log: TextIO) -> None:
        """Makes the build's user the owner of a folder of the container, and gives them the key."""
        self.around.give(box, folder, log)
        if self.key:
            self.key.give(box, self.around.user)

    @property
    def files(self) -> Mapping[str, Path | bytes]:
        """Returns the component's sources by their path."""
        return source.files(self.component.name) if self.sources is None else self.sources

    @property
    def time(self) -> int:
        """Returns the time that the packages state, in seconds since 1970."""
        return source.epoch() if self.epoch is None else self.epoch
