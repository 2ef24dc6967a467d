# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the kernels that are crashed from kernels.toml, which says what each field means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import tables
from panicast_build.core.choice import choose
from panicast_build.targets.distros import Base

TABLE = Path(__file__).with_name("kernels.toml")


@dataclass(frozen=True)
class Kernel(Base):
    """A kernel: see kernels.toml."""

    archive: str = ""
    recipe: str = "crash-deb"
    source: str = ""
    arch: str = "amd64"
    flavour: str = "amd64"
    append: str = ""
    quick: bool = False

    @property
    def series(self) -> str:
        """Returns the series in its packages' names, e.g. 6.1."""
        return self.name.partition("-")[0]


def load(table: Path = TABLE) -> dict[str, Kernel]:
    """Returns the kernels by name, in the order of the table."""
    return tables.read(table, Kernel)


def select(names: str) -> list[Kernel]:
    """Returns the kernels of a comma list, or all of them for ""."""
    return choose("kernel", names, load())
