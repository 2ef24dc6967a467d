# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks documents that come back from a broker: the objects of ``show --json``. Pure."""

from __future__ import annotations

import base64
from typing import Any

from ..records.fields import FIELDS, TEXT_FIELDS
from ..records.forms import types
from ..text import nanoseconds

#: What the central store keeps: other fields may be missing.
_KEPT = [field for field in (*FIELDS, *TEXT_FIELDS) if field.column]


def checked(value: Any) -> dict[str, Any]:
    """Return the document that somebody sent, or raise ValueError. It may have keys that we do not know."""
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    for field in _KEPT:
        if not field.required:
            value.setdefault(field.name, field.usual)
        if field.name not in value or not isinstance(value[field.name], types(field.schema)):
            raise ValueError(f"{field.name} is missing or wrong")
    bytes.fromhex(value["identity"])
    nanoseconds(value["received"])
    base64.b64decode(value["raw"] or "", validate=True)
    if not all(isinstance(gap, dict) and isinstance(gap.get("bytes"), int) for gap in value["gaps"]):
        raise ValueError("gaps is wrong")
    return value
