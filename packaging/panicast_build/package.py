# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv package: builds what changed into dist/DISTRO and shows what is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import docker

from panicast_build import assemble, deb, dist, distros, engine, metadata, rpm
from panicast_build.assemble import Builder
from panicast_build.distros import Distro
from panicast_build.errors import UserError
from panicast_build.metadata import Component, Project

Make = Callable[[docker.DockerClient, Project, Component, Distro], Builder]


def builders(rpm_host: str = rpm.AUTO) -> dict[str, Make]:
    """How each family's packages are built; rpm_host is where RPMs are."""
    return {"deb": deb.Build, "rpm": partial(rpm.Build, wanted_host=rpm_host)}


def run(names: str, component: str = "", rpm_host: str = rpm.AUTO) -> None:
    """Builds the packages of a comma list of distros (or "all"); of one component, or of all for "".

    rpm_host says where RPMs are built: see panicast_build.rpm.
    """
    chosen = [(distro, _components(distro, component)) for distro in distros.select(names)]
    project = metadata.load()
    client = engine.connect()
    for distro, wanted in chosen:
        with dist.locked(distro.name):
            make = builders(rpm_host)[distro.family]
            assemble.fill(
                distro.name,
                project,
                {c.name: make(client, project, c, distro) for c in wanted},
                {c.name: f"{c.package} for {distro.name}" for c in wanted},
            )


def _components(distro: Distro, name: str) -> list[Component]:
    """The component called name, or every one for "", of those that the distro's family has."""
    wanted = [c for c in metadata.components(name) if distro.family in c.families]
    if not wanted:
        has = ", ".join(c.name for c in metadata.of_family(distro.family))
        raise UserError(f"{distro.name} has no packages of {name}", f"it has those of: {has}")
    return wanted
