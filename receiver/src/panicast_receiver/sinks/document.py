# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks documents that come back from a broker: the objects of ``show --json``. Pure."""

from __future__ import annotations

import base64
import re
from typing import Any

from ..records.fields import FIELDS, TEXT_FIELDS
from ..records.forms import types
from ..text import nanoseconds
from ..wire.v1 import STATE_TYPES

#: What the central store keeps: other fields may be missing.
_KEPT = [field for field in (*FIELDS, *TEXT_FIELDS) if field.column]
#: PostgreSQL takes other texts for times, too, of which Python cannot read some again.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
#: What is known of a crash, by name.
_CRASH = next(field for field in FIELDS if field.name == "crash").schema["anyOf"][0]["properties"]
#: What is told of a boot, and how much at most.
_BOOT: dict[str, Any] = {
    **dict.fromkeys(("host", "boot_id", "state", "why", "first_seen", "last_seen", "kernel", "module"), str),
    **dict.fromkeys(("panicked", "ip"), (str, type(None))),
    **dict.fromkeys(("interfaces", "labels"), dict),
    **dict.fromkeys(("said", "event"), int),
    "sealed": bool,
}
_MOST_BOOTS, _BOOT_ID_BYTES, _MOST_PAIRS, _LONGEST = 1024, 16, 64, 255
_LATEST_NS = (1 << 63) - 1
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


def checked_boots(value: Any) -> list[dict[str, Any]]:
    """Return what somebody tells of boots (db/fleet.py), or raise ValueError."""
    if not isinstance(value, list) or len(value) > _MOST_BOOTS:
        raise ValueError("it is no list of hosts")
    for one in value:
        if not isinstance(one, dict):
            raise ValueError("a host is not a JSON object")
        for name, form in _BOOT.items():
            if name not in one or not isinstance(one[name], form) or (form is int and one[name] is True):
                raise ValueError(f"{name} is missing or wrong")
        if len(bytes.fromhex(one["boot_id"])) != _BOOT_ID_BYTES or one["state"] not in STATE_TYPES:
            raise ValueError("boot_id or state is wrong")
        if not all(0 <= one[name] < 1 << 32 for name in ("said", "event")):
            raise ValueError("said or event is wrong")
        for name in ("first_seen", "last_seen", "panicked"):
            _check_time(name, one[name])
            if one[name] is not None and nanoseconds(one[name]) > _LATEST_NS:
                raise ValueError(f"{name} is too late")
        for name in ("interfaces", "labels"):
            texts = [text for pair in one[name].items() for text in pair]
            if len(texts) > 2 * _MOST_PAIRS or not all(
                isinstance(text, str) and len(text) <= _LONGEST for text in texts
            ):
                raise ValueError(f"{name} is wrong")
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
