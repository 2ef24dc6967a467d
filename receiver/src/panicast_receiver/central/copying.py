# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes values as PostgreSQL's COPY reads them, in its text format. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def line_of(values: Iterable[Any]) -> str:
    """Return values as a line for COPY."""
    return "\t".join(map(_field, values)) + "\n"


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, (dict, list)):
        # Text of the server's encoding, UTF-8, holds every character but one.
        value = json.dumps(_without_nul(value), ensure_ascii=False)
    return storable(str(value)).translate(_ESCAPES)


def _without_nul(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return storable(value) if isinstance(value, str) else value


def storable(text: str) -> str:
    """Remove NUL, which PostgreSQL's text cannot hold, and half surrogate pairs."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
