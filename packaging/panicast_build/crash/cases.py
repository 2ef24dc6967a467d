# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the ways to crash from cases.toml, which says what each field means."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from panicast_build.core import tables
from panicast_build.core.choice import choose
from panicast_build.crash import places
from panicast_build.crash.places import Where

# What cases that seal do it with; the guest has the key in /key.
KEY_ID, KEY = 7, bytes(range(0x20, 0x40))
QUICK = "quick"
TABLE = Path(__file__).with_name("cases.toml")


@dataclass(frozen=True)
class Case:
    """One way to crash: see cases.toml. way is its table's name; place is the function, in a table
    with places; where are the kernels and network cards whose list has it, none for all."""

    name: str
    says: str = "sysrq triggered crash"
    command: str = "echo c > /proc/sysrq-trigger"
    append: str = ""
    panic: int = -1
    modules: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    cards: int = 1
    wired: bool = False
    standby: str = ""
    devices: tuple[str, ...] = ()
    setup: str = ""
    after: str = ""
    load: str = "insmod /panicast.ko"
    armed: str = "eth0"
    kdump: bool = False
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    cpu: str = ""
    netconsole: str = ""
    sealed: bool = False
    clean: bool = False
    lost: float = 0.0
    life: int = 240
    record: str = "whole"
    oops: str = ""
    heard: tuple[str, ...] = ()
    greets: str = ""
    largest: int = 0
    silent: int = 0
    to: tuple[str, ...] = ()
    nmi: bool = False
    machine: str = ""
    driver: str = ""
    quick: bool = False
    named: str = ""
    way: str = ""
    place: str = ""
    where: frozenset[tuple[str, str]] = frozenset()

    @property
    def triggers(self) -> list[str]:
        """Returns what the case asks of the kernel's own crash test module."""
        return re.findall(r"\blkdtm ([A-Z_]+)", f"{self.after}\n{self.command}")

    @property
    def names(self) -> list[str]:
        """Returns the titles that the crash may have: more than one where the compiler decides."""
        return self.named.split(" | ") if self.named else []


@dataclass(frozen=True)
class Places:
    """Says where a table makes a case for each place, see cases.toml; a string names a list of
    places.toml."""

    places: tuple[str, ...] | str = ()
    sample: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()


def load() -> dict[str, Case]:
    """Returns the cases by name, in the order of the table."""
    cases = [case for name, fields in tables.load(TABLE).items() for case in _expanded(name, fields)]
    return {case.name: case for case in cases}


def select(names: str) -> list[Case]:
    """Returns the cases of a comma list: all for "", those of every test run for "quick"."""
    known = load()
    if names == QUICK:
        return [case for case in known.values() if case.quick]
    return choose("way to crash", names, known)


def modules() -> list[str]:
    """Returns every module that a case needs, a test of its own, or a guest that boots before it has
    its case."""
    others = {"efi_pstore", "hsr", "qemu_fw_cfg", "ramoops", "virtio_blk", "vmgenid"}
    return sorted(others.union(*(case.modules for case in load().values())))


def _expanded(name: str, fields: dict[str, Any]) -> list[Case]:
    """Returns the case of a table, or one case for each of its places."""
    own: dict[str, Any] = {key: fields.pop(key) for key in ("places", "sample", "unheard") if key in fields}
    at = tables.value(TABLE, name, own, Places)
    if not at.places:
        return [replace(tables.value(TABLE, name, fields, Case), way=name)]
    everywhere: Where = frozenset()
    found = places.of(at.places) if isinstance(at.places, str) else dict.fromkeys(at.places, everywhere)
    return [
        replace(
            tables.value(TABLE, f"{name}-{place}", _at(fields, place, place in at.unheard), Case),
            quick=place in at.sample,
            way=name,
            place=place,
            where=where,
        )
        for place, where in found.items()
    ]


def _at(fields: dict[str, Any], place: str, unheard: bool) -> dict[str, Any]:
    """Returns a table's fields for a place. Where none may come any record is right, and has no name."""
    named = "" if unheard else fields.get("named", "").replace("PLACE", function(place))
    found: dict[str, Any] = _put({**fields, "named": named}, place)
    return {**found, "record": "any"} if unheard else found


def function(place: str) -> str:
    """Returns a place's function without what the compiler added to its name."""
    return place.partition(".")[0]


def _put(value: Any, place: str) -> Any:
    """Returns a table's value with this place put in."""
    if isinstance(value, dict):
        return {key: _put(item, place) for key, item in value.items()}
    if isinstance(value, list):
        return [_put(item, place) for item in value]
    return value.replace("PLACE", place) if isinstance(value, str) else value
