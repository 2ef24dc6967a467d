# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv package: builds what has changed into dist/DISTRO; ./inv fetch: downloads what that needs."""

from __future__ import annotations

import os
from dataclasses import replace

from panicast_build.build import assemble, deb, dist, pins, rpm, source
from panicast_build.build.assemble import Builder
from panicast_build.build.order import Order
from panicast_build.core import parallel, progress
from panicast_build.core.errors import UserError
from panicast_build.engine import engine, images, unused
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Component


def builder(order: Order, distro: Distro, rpm_host: str = rpm.AUTO) -> Builder:
    """Returns the builder of an ordered component, for the distro's family."""
    return distros.by_family(
        distro,
        deb=lambda target: deb.Build(order, target),
        rpm=lambda target: rpm.Build(order, target, rpm_host),
    )


def run(
    names: str,
    component: str = "",
    rpm_host: str = rpm.AUTO,
    jobs: int = 1,
    pinned: bool = False,
    offline: bool = False,
    snapshot: bool = False,
) -> None:
    """Builds the packages of a comma list of distros (or "all"), of one component or of all for "".

    rpm_host says where RPMs are built: see panicast_build.build.rpm. With pinned they are built
    with the versions that dist/DISTRO/metadata.json recorded. With offline they are built without a
    network, with what fetch() downloaded. With snapshot the version names the commit.
    """
    if offline:
        os.environ["PANICAST_OFFLINE"] = "1"
    chosen = {distro: _components(distro, component) for distro in distros.select(names)}
    if len(chosen) > 1:
        options = ["--rpm-host", rpm_host]
        options += ["--component", component] if component else []
        options += ["--locked"] if pinned else []
        options += ["--snapshot"] if snapshot else []
        parallel.run_all("package", [distro.name for distro in chosen], options, jobs)
        return
    project, client = metadata.load(), engine.connect()
    if snapshot:
        project = replace(project, version=source.snapshot(project.version))
    for distro, wanted in chosen.items():
        with dist.locked(distro.name):
            orders = [
                Order(client, project, c, pins.recorded(distro.name, c.name) if pinned else None)
                for c in wanted
            ]
            assemble.fill(
                distro.name,
                project,
                {order.component.name: builder(order, distro, rpm_host) for order in orders},
                {c.name: f"{c.package} for {distro.name}" for c in wanted},
            )


def fetch(names: str, rpm_host: str = rpm.AUTO, jobs: int = 1, renew: bool = False) -> None:
    """Downloads all that run() needs from the network for a comma list of distros (or "all").

    With renew the base images are pulled or built again, and all that was made from the old ones is
    removed.
    """
    chosen = distros.select(names)
    if len(chosen) > 1:
        options = ["--rpm-host", rpm_host, *(["--renew"] if renew else [])]
        parallel.run_all("fetch", [distro.name for distro in chosen], options, jobs)
        return
    project, client = metadata.load(), engine.connect()
    for distro in chosen:
        if renew:
            images.renew(client, rpm.base(client, distro, rpm_host))
            gone = unused.remove(client, unused.outdated(client))
            progress.say(f"{distro.name}: a new base image; removed {gone} images of older ones")
        tag = distros.by_family(
            distro,
            deb=lambda target: deb.image(client, project, target),
            rpm=lambda target: rpm.host_image(client, project, target, rpm.host(client, target, rpm_host)),
        )
        pins.of(client, tag)


def _components(distro: Distro, name: str) -> list[Component]:
    """Returns the component called name, or for "" all that the distro has packages of."""
    has = metadata.of_distro(distro.family, distro.components)
    wanted = [component for component in metadata.components(name) if component in has]
    if not wanted:
        raise UserError(
            f"{distro.name} has no packages of {name}",
            f"it has packages of: {', '.join(component.name for component in has)}",
        )
    return wanted
