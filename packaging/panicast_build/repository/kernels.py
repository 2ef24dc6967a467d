# SPDX-License-Identifier: GPL-2.0-or-later
"""Publishes patched kernels that the user names, where a machine must opt in to them.

A patched kernel is newer than the distribution's own of the same source. In the module's repository
an upgrade could install it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.core.errors import UserError
from panicast_build.kernel import config
from panicast_build.targets import metadata
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Project

# The apt component, and the folder of an RPM target's repository.
COMPONENT = "kernel"
# What a kernel's source is, by family: its licence asks for it beside the binaries.
SOURCES = (".dsc", ".src.rpm")


def ours(file: str, project: Project) -> bool:
    """Tells whether a file's package has a name of our own. What is called as the distribution's, e.g.
    the headers of the C library, would replace that on every machine."""
    name = file.rsplit("-", 2)[0] if file.endswith(".rpm") else file.partition("_")[0]
    return project.name in name


def built(distro: Distro, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Returns the publishable files of the patched kernels in dist/. Raises UserError if there are
    none; kernels that are trimmed for tests do not count."""
    project, target = metadata.load(), paths.kernel_target(distro.name)
    components = dist.read(target).get("components", {})
    fit = [name for name in components if config.get(name).published]
    if not fit:
        raise UserError(
            f"no kernel of {distro.name} can be published: {', '.join(components) or 'nothing'} was built",
            f"run: ./inv kernel --distro {distro.name} --config distro",
        )
    for name in fit:
        files = [file["file"] for file in components[name]["files"] if ours(file["file"], project)]
        if not any(file.endswith(SOURCES) for file in files):
            raise UserError(
                f"the kernel of {distro.name} in the configuration {name} lacks its source package, "
                "or is called as the distribution's",
                f"build it again: ./inv kernel --distro {distro.name} --config {name}",
            )
        if not dist.intact(target, components[name]):
            raise UserError(
                f"dist/{target} is not as it was built",
                f"build it again: ./inv kernel --distro {distro.name} --config {name}",
            )
        yield from (paths.dist_dir(target) / file for file in files if file.endswith(suffixes))
