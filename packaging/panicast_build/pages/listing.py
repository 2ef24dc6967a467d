# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv distros: lists the targets and what was last built for each."""

from __future__ import annotations

import json

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro


def show(as_json: bool = False) -> None:
    """Prints the table of targets; with as_json a list of objects for programs."""
    if as_json:
        print(json.dumps([_described(distro) for distro in distros.load().values()], indent=2))
        return
    heads = ("distro", "what it is", "kernel", "packages", "image", "last built", "modules for")
    table = Table(*heads, box=SIMPLE)
    for distro in distros.load().values():
        built = dist.read(distro.name)
        last = f"{built['version']} of {built['git']['commit'][:12]}" if built else "never"
        what = (distro.name, distro.title, distro.kernel, distro.family, distro.image)
        table.add_row(*what, last, _kernels(distro))
    Console().print(table)


def _kernels(distro: Distro) -> str:
    """Returns the kernels for which dist/ has packages with the module itself, in words."""
    return ", ".join(dist.read(paths.modules_target(distro.name)).get("components", {})) or "none"


def _described(distro: Distro) -> dict[str, str]:
    """Returns what a program may want to know of a target; built is the version in dist/, "" if
    there is none."""
    return {
        "name": distro.name,
        "title": distro.title,
        "kernel": distro.kernel,
        "family": distro.family,
        "image": distro.image,
        "built": dist.read(distro.name).get("version", ""),
    }
