# SPDX-License-Identifier: GPL-2.0-or-later
"""Suggests the known word that is most like a wrong one. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?``, or nothing if no known word is near."""
    there = list(known)
    near = difflib.get_close_matches(word, there, 1)
    near += [one for one in there if len(word) > 3 and word in one]
    return f"; did you mean {near[0]}?" if near else ""
