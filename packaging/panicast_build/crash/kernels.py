# SPDX-License-Identifier: GPL-2.0-or-later
"""The stock kernels that are crashed, read from kernels.toml, which says what each field means."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from panicast_build.choice import choose
from panicast_build.distros import Base

TABLE = Path(__file__).with_name("kernels.toml")


@dataclass(frozen=True)
class Kernel(Base):
    """A series of kernels, its name, and the archive that has them."""

    archive: str = ""
    quick: bool = False


def load() -> dict[str, Kernel]:
    """The kernels by series, in the order of the table."""
    tables = tomllib.loads(TABLE.read_text())
    return {name: Kernel(name=name, **fields) for name, fields in tables.items()}


def select(names: str) -> list[Kernel]:
    """The kernels of a comma list of series; every one for ""."""
    return choose("kernel", names, load())
