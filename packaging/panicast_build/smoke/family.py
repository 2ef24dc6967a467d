# SPDX-License-Identifier: GPL-2.0-or-later
"""What a package family supplies to a smoke test: the guests' image, the repository, the commands
in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from panicast_build.smoke.repo import Package


@dataclass(frozen=True)
class Tool:
    """How to use a guest's package manager: argv lists, to which the package's name is appended.

    refresh runs before; start runs after the receiver's installation, if that alone does not start
    it. repair are whole commands that in turn complete an installation of panicast-dkms that was
    cut off. purge removes what remove leaves; keeps are the files that stay even then, for the user
    to delete. recommends says that a package brings what it recommends, as the receiver its web
    page's libraries.
    """

    name: str
    install: tuple[str, ...]
    remove: tuple[str, ...]
    repair: tuple[tuple[str, ...], ...]
    refresh: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    purge: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    recommends: bool = False


class Family(Protocol):
    """Made from the container engine's client and a target."""

    tool: Tool
    # Whose root file system the guests have, for the report.
    root: str

    def built(self, dist: Path) -> list[Package]:
        """Returns the packages under test in dist."""

    def image(self, packages: Sequence[Package]) -> str:
        """Returns the tag of the guests' container image, which has all that packages depend on."""

    def index(self, folder: Path) -> None:
        """Makes a folder of packages a repository."""
