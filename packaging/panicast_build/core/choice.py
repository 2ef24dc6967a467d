# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses comma lists of names, as tasks take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from panicast_build.core.errors import UserError

T = TypeVar("T")


def check(what: str, name: str, known: Iterable[str]) -> None:
    """Raises UserError, which lists the known names, if name is not one of them."""
    names = list(known)
    if name not in names:
        raise UserError(f"no {what} is called {name!r}", f"there are: {', '.join(names)}")


def choose(what: str, names: str, known: Mapping[str, T]) -> list[T]:
    """Returns the names of a comma list, or all known ones for "". Raises UserError, which lists
    the known names, for an unknown one."""
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(known)
    for name in wanted:
        check(what, name, known)
    return [known[name] for name in wanted]


def alone(option: str, others: Mapping[str, object]) -> None:
    """Raises UserError if one of the other options is given, which mean nothing together with this
    one."""
    if given := [name for name, value in others.items() if value]:
        raise UserError(f"{' and '.join(given)} cannot be used with {option}", "leave out one or the other")
