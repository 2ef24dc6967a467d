# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch of kernel-patch/ serves which kernel, read from series.toml there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import tables
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT

FOLDER = ROOT / "kernel-patch"
TABLE = FOLDER / "series.toml"


@dataclass(frozen=True)
class Era:
    """Kernels that one patch serves: a name for people, the patch, how the kernels' versions begin."""

    name: str
    patch: Path
    kernels: tuple[str, ...]

    def serves(self, version: str) -> bool:
        """Whether a kernel's version, e.g. 6.1.192-2, is of this era."""
        return any(f"{version}.".replace("-", ".").startswith(f"{kernel}.") for kernel in self.kernels)


def load(table: Path = TABLE) -> list[Era]:
    """The eras, oldest first."""
    return list(tables.read(table, Era).values())


def for_version(version: str) -> Era:
    """The era of a kernel's version, e.g. 6.1.192 or 7.3.4-1~bpo13+1; UserError where no patch serves it."""
    eras = load()
    for era in eras:
        if era.serves(version):
            return era
    raise UserError(
        f"no kernel patch serves Linux {version or '(no version)'}",
        f"there are patches for {', '.join(era.name for era in eras)}; "
        f"another kernel needs one, and a table in {TABLE}",
    )
