# SPDX-License-Identifier: GPL-2.0-or-later
"""Demangles Rust's function names, which the kernel prints as the compiler mangles them (scheme
v0). Pure."""

from __future__ import annotations

import re

#: A number that tells equal names apart, or a reference back: neither is part of the name.
_ASIDE = re.compile(r"[sB][0-9A-Za-z]{0,16}_")
#: The length of a name that follows.
_LENGTH = re.compile(r"(\d{1,3})_?")


def demangled(symbol: str) -> str:
    """Return ``<crate::module::Type>::function`` for a method, ``crate::module::function`` for
    others.

    Leaves out generics and traits: the path says enough. Returns the symbol itself if it cannot be
    read.
    """
    parts = []
    at = 2
    while at < len(symbol):
        if aside := _ASIDE.match(symbol, at):
            at = aside.end()
        elif found := _LENGTH.match(symbol, at):
            at = found.end() + int(found[1])
            parts.append(symbol[found.end() : at])
        else:
            at += 1
    if not parts:
        return symbol
    if symbol.startswith("_RNvM") and len(parts) > 1:
        return f"<{'::'.join(_once(parts[:-1]))}>::{parts[-1]}"
    return "::".join(_once(parts))


def _once(parts: list[str]) -> list[str]:
    """Return the parts without repetitions: a method's symbol names its module twice."""
    return [part for n, part in enumerate(parts) if part not in parts[:n]]
