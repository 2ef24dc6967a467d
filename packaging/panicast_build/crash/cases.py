# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways to crash, read from cases.toml, which says what each field means."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("cases.toml")


@dataclass(frozen=True)
class Case:
    """One way to crash."""

    name: str
    says: str
    command: str = ""
    append: str = ""
    nmi: bool = False
    quick: bool = False


def load() -> dict[str, Case]:
    """The cases by name, in the order of the table."""
    return {name: Case(name=name, **fields) for name, fields in tomllib.loads(TABLE.read_text()).items()}
