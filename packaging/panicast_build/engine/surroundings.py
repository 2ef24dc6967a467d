# SPDX-License-Identifier: GPL-2.0-or-later
"""The surroundings of a build, which its bytes must not depend on: user, host name, umask,
language, time, CPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import docker

from panicast_build.engine.container import Container


@dataclass(frozen=True)
class Surroundings:
    """environment is added to a build's. later is how far its clock is ahead, in faketime's words
    ("": not at all). cpus limits its CPUs, in the engine's words ("": all)."""

    user: str = "builder"
    hostname: str = "builder"
    umask: str = "022"
    environment: Mapping[str, str] = field(default_factory=dict)
    later: str = ""
    cpus: str = ""

    def container(
        self,
        client: docker.DockerClient,
        image: str,
        env: Mapping[str, str],
        tmpfs: Mapping[str, str] | None = None,
    ) -> Container:
        """Returns the container for a build; tmpfs maps mount points in memory to their options."""
        env = {**env, **self.environment}
        return Container(client, image, env=env, hostname=self.hostname, cpus=self.cpus, tmpfs=tmpfs)

    def give(self, box: Container, folder: str, log: TextIO) -> None:
        """Makes the user, whom it creates if needed, the owner of a folder of the container."""
        if box.run(["id", self.user], log=log, check=False).code:
            box.run(["useradd", "--create-home", self.user], log=log)
        box.run(["chown", "-R", f"{self.user}:", folder], log=log)

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Returns the command that runs argv with this umask and clock."""
        clock = ["faketime", "-f", self.later] if self.later else []
        return ["sh", "-c", 'umask "$0" && exec "$@"', self.umask, *clock, *argv]


USUAL = Surroundings()
