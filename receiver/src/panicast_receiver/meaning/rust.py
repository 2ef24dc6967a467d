# SPDX-License-Identifier: GPL-2.0-or-later
"""Demangles Rust's function names, which the kernel prints as the compiler mangles them (scheme
v0). Pure."""

from __future__ import annotations

import re

#: Which of several of one name, and what was said before: neither is part of the name.
_ASIDE = re.compile(r"[sB][0-9A-Za-z]{0,16}_")
#: The length of a name that follows.
_LENGTH = re.compile(r"(\d{1,3})_?")


def demangled(symbol: str) -> str:
    """``<crate::module::Type>::function`` for a method, ``crate::module::function`` for others; what can't be
    read stays as it is. Of generics and traits nothing is told: the path says enough."""
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
    """A method's name tells first in which module it is, then of which type: the module is the same."""
    return [part for n, part in enumerate(parts) if part not in parts[:n]]
