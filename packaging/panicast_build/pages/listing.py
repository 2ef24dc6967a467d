# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv distros: the targets, and what was last built for each."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build.build import dist
from panicast_build.targets import distros


def show() -> None:
    """The table of targets, on standard output."""
    table = Table("distro", "what it is", "kernel", "packages", "image", "last built", box=SIMPLE)
    for distro in distros.load().values():
        built = dist.read(distro.name)
        last = f"{built['version']} of {built['git']['commit'][:12]}" if built else "never"
        table.add_row(distro.name, distro.title, distro.kernel, distro.family, distro.image, last)
    Console().print(table)
