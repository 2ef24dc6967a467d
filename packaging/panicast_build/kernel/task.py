# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv kernel: builds the patched kernel's packages into dist/DISTRO/kernel/."""

from __future__ import annotations

import docker

from panicast_build.build import assemble, dist, signing
from panicast_build.build.assemble import Builder
from panicast_build.core import paths
from panicast_build.core.errors import UserError
from panicast_build.engine import engine
from panicast_build.kernel import check, config, deb, rpm
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import Wanted
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Project


def _builder(client: docker.DockerClient, project: Project, distro: Distro, options: Options) -> Builder:
    return distros.by_family(
        distro,
        deb=lambda target: deb.Build(client, project, target, options),
        rpm=lambda target: rpm.make(client, project, target, options),
    )


def run(distro_name: str, options: Options) -> None:
    """Builds the packages of a configuration of a distro's kernel, if something has changed."""
    distro = distros.get(distro_name)
    wanted = options.wanted.config
    client, target = engine.connect(), paths.kernel_target(distro.name)
    with dist.locked(target):
        assemble.fill(
            target,
            metadata.load(),
            {wanted.name: _builder(client, metadata.load(), distro, options)},
            {wanted.name: f"the patched kernel for {distro.name}, configured as {wanted.name}"},
        )


def task(
    distro: str,
    config_name: str,
    debug_info: bool,
    key: str,
    source: str,
    jobs: int,
    cached: bool,
    check_only: bool,
    trees: str = "",
) -> None:
    """Runs what the command line asks for: a build, or a check of the patches."""
    if check_only:
        check.run(trees)
        return
    if jobs < 0:
        raise UserError(f"--jobs must be 0 or more, not {jobs}", "leave it out for one process for each CPU")
    wanted = Wanted(config.get(config_name), debug_info, signing.load(key))
    run(distro, Options(wanted, source, jobs, cached))
