# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks documents that come back from a broker: the objects of ``show --json``. Pure."""

from __future__ import annotations

import base64
import re
from typing import Any

from ..records.fields import FIELDS, TEXT_FIELDS
from ..records.forms import types
from ..text import nanoseconds

#: What the central store keeps: other fields may be missing.
_KEPT = [field for field in (*FIELDS, *TEXT_FIELDS) if field.column]
#: PostgreSQL takes other texts for times, too, of which Python cannot read some again.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
#: What is known of a crash, by name.
_CRASH = next(field for field in FIELDS if field.name == "crash").schema["anyOf"][0]["properties"]
#: Of a record; who goes through a value calls himself for each of its levels.
_MOST_LEVELS = 32


def checked(value: Any) -> dict[str, Any]:
    """Return the document that somebody sent, or raise ValueError. It may have keys that we do not know."""
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    for field in _KEPT:
        if not field.required:
            value.setdefault(field.name, field.usual)
        if field.name not in value or not isinstance(value[field.name], types(field.schema)):
            raise ValueError(f"{field.name} is missing or wrong")
    if _is_deeper(value, _MOST_LEVELS):
        raise ValueError("it is nested too deeply")
    bytes.fromhex(value["identity"])
    for name in ("received", "time"):
        _check_time(name, value[name])
    base64.b64decode(value["raw"] or "", validate=True)
    if not all(_is_gap(gap) for gap in value["gaps"]):
        raise ValueError("gaps is wrong")
    labels = value.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise ValueError("labels is wrong")
    crash = value["crash"] or {}
    for name, schema in _CRASH.items():
        if name in crash and not isinstance(crash[name], types(schema)):
            raise ValueError(f"crash.{name} is wrong")
    return value


def _check_time(name: str, text: str | None) -> None:
    if text is None:
        return
    if not _TIME.fullmatch(text):
        raise ValueError(f"{name} is not a time")
    nanoseconds(text)


def _is_gap(gap: Any) -> bool:
    places = (gap.get("offset"), gap.get("bytes")) if isinstance(gap, dict) else (None,)
    return all(isinstance(place, int) and place >= 0 for place in places)


def _is_deeper(value: Any, most: int) -> bool:
    """Tell whether a value has more than so many levels, without a call for each."""
    level = [value]
    for _ in range(most):
        level = [
            item
            for one in level
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
