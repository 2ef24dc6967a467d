# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the targets from packaging/distros.toml, which says what each field means."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from panicast_build.core import tables
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT

TABLE = ROOT / "packaging" / "distros.toml"
ALL = "all"
D = TypeVar("D", bound="Distro")
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Base:
    """What a base image is made from: see distros.toml. name is for people, and is part of what is
    made from it."""

    name: str
    title: str
    family: str
    image: str
    suite: str
    # Mirrors of a rolling suite lag behind the date until which its index says that it is valid.
    rolling: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Distro(Base):
    """One target."""

    kernel: str
    vendored: list[str] = field(kw_only=True)
    components: tuple[str, ...] = field(default=(), kw_only=True)
    repository: str = field(default="", kw_only=True)

    @property
    def folder(self) -> str:
        """Returns the folder of its packages in the RPM repositories."""
        return self.entry_folder.replace("$releasever", self.suite)

    @property
    def entry_folder(self) -> str:
        """Returns the same folder for its source entry: the machine expands $releasever."""
        return self.repository or self.name


@dataclass(frozen=True)
class DebDistro(Distro):
    """A target that takes Debian packages."""

    version_suffix: str
    kernel_image: str
    kernel_headers: str
    flavours: tuple[str, ...] = field(kw_only=True)
    modules_folder: str = field(kw_only=True)
    other_kernel: tuple[str, ...] = field(default=(), kw_only=True)
    newer: tuple[str, ...] = field(default=(), kw_only=True)
    kernel_source: str = field(default="", kw_only=True)
    kernel_config: str = field(default="", kw_only=True)
    kernel_config_file: str = field(default="", kw_only=True)

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class Kmod:
    """How packages with the module itself are called and built: see distros.toml."""

    name: str
    version: str
    newest: str
    requires: str
    provides: tuple[str, ...]
    ask: str
    headers: str
    builders: tuple[str, ...]


@dataclass(frozen=True)
class RpmDistro(Distro):
    """A target that takes RPMs."""

    dist: str
    setup: str
    install: str
    manager: str
    guest: list[str]
    kernel_devel: list[str]
    headers: str
    kmod: Kmod
    systemd: str
    service: dict[str, str]
    firewalld: str
    firewalld_dir: str
    python: str
    python_requires: list[str]
    python_suggests: list[str]
    python_postgresql: str
    kernel_srpm: str = field(default="", kw_only=True)
    kernel_hook: str = field(default="", kw_only=True)

    def __hash__(self) -> int:
        return hash(self.name)


# Which targets a family has.
KINDS: dict[str, type[Distro]] = {"deb": DebDistro, "rpm": RpmDistro}


def load(table: Path = TABLE) -> dict[str, Distro]:
    """Returns the targets by name, in the order of the table."""
    return {
        name: tables.value(table, name, fields, tables.pick(table, name, fields, "family", KINDS))
        for name, fields in tables.load(table).items()
    }


def by_family(distro: Distro, *, deb: Callable[[DebDistro], T], rpm: Callable[[RpmDistro], U]) -> T | U:
    """Returns what the function of the distro's family returns for it.

    This is the one place that chooses by family: a new family is a new argument, which every caller
    must then pass.
    """
    if isinstance(distro, RpmDistro):
        return rpm(distro)
    assert isinstance(distro, DebDistro)
    return deb(distro)


def of_family(family: type[D]) -> dict[str, D]:
    """Returns the targets of one family by name, in the order of the table."""
    return {name: distro for name, distro in load().items() if isinstance(distro, family)}


def get(name: str) -> Distro:
    """Returns the target called name. Raises UserError, which lists the right names."""
    known = load()
    if name in known:
        return known[name]
    if not name:
        raise UserError("no distro given", f"say --distro, and one of: {', '.join(known)}")
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"no distro is called {name!r}", f"{meant}there are: {', '.join(known)}")


def select(names: str) -> list[Distro]:
    """Returns the targets of a comma list, or all of them for "all"."""
    if names == ALL:
        return list(load().values())
    chosen = [get(name.strip()) for name in names.split(",") if name.strip()]
    if not chosen:
        raise UserError("no distro given", f"there are: {', '.join(load())}; or all of them: {ALL}")
    return list(dict.fromkeys(chosen))
