# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the functions to crash in from places.toml, which says what each list is."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from panicast_build.core import files

TABLE = Path(__file__).with_name("places.toml")
HEAD = """\
# Written by `./inv smoke --places`; do not edit. For each kernel and network card, from its function graph of
# a panic that was sent, and the locks that were taken and given back:
#   v1      the functions that panicast comes by when it sends a record
#   raw     those that it comes by in format raw only
#   sealed  those that it comes by with a key only
#   holders the functions that give back a lock which panicast, or what it calls, takes or tries
# A list that is not there has not been traced.
"""

# Kernels and network cards.
Where = frozenset[tuple[str, str]]
Lists = dict[str, list[str]]
# By kernel and network card.
Places = dict[tuple[str, str], Lists]


@cache
def load() -> Places:
    """Returns the lists by kernel and network card."""
    tables = tomllib.loads(TABLE.read_text())
    return {(kernel, nic): lists for kernel, nics in tables.items() for nic, lists in nics.items()}


def of(name: str) -> dict[str, Where]:
    """Returns for each function in the lists of this name the kernels and network cards whose list
    has it."""
    found: dict[str, set[tuple[str, str]]] = {}
    for where, lists in load().items():
        for function in lists.get(name, ()):
            found.setdefault(function, set()).add(where)
    return {function: frozenset(found[function]) for function in sorted(found)}


def save(places: Mapping[tuple[str, str], Lists]) -> None:
    """Writes the table."""
    files.write(TABLE, HEAD + "".join(_table(*where, places[where]) for where in sorted(places)))
    load.cache_clear()


def _table(kernel: str, nic: str, lists: Lists) -> str:
    lines = [f'\n["{kernel}"."{nic}"]']
    for name, functions in lists.items():
        words = ", ".join(f'"{function}"' for function in functions)
        lines += [f"{name} = [", *textwrap.wrap(words, 96, initial_indent="  ", subsequent_indent="  "), "]"]
    return "\n".join(lines) + "\n"
