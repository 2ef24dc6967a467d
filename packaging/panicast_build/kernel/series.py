# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads from series.toml which patch of kernel-patch/ is for which kernels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import tables
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT

FOLDER = ROOT / "kernel-patch"
TABLE = FOLDER / "series.toml"
# How a patch is applied, anywhere; the file's name follows. Without fuzz; with --force nothing is asked,
# and what was applied already is an error.
APPLY = ("patch", "--strip=1", "--fuzz=0", "--force", "--input")


@dataclass(frozen=True)
class Era:
    """The kernels that one patch is for: a name for people, the patch, and how the kernels'
    versions begin."""

    name: str
    patch: Path
    kernels: tuple[str, ...]

    def serves(self, version: str) -> bool:
        """Tells whether a kernel's version, e.g. 6.1.192-2, is of this era."""
        return any(f"{version}.".replace("-", ".").startswith(f"{kernel}.") for kernel in self.kernels)


def load(table: Path = TABLE) -> list[Era]:
    """Returns the eras, oldest first."""
    return list(tables.read(table, Era).values())


def for_version(version: str) -> Era:
    """Returns the era of a kernel's version, e.g. 6.1.192 or 7.3.4-1~bpo13+1. Raises UserError if
    there is no patch for it."""
    eras = load()
    for era in eras:
        if era.serves(version):
            return era
    raise UserError(
        f"no kernel patch is for Linux {version or '(no version)'}",
        f"there are patches for {', '.join(era.name for era in eras)}; "
        f"another kernel needs a patch and a table in {TABLE}",
    )
