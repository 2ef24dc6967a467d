# SPDX-License-Identifier: GPL-2.0-or-later
"""Documents that come back from a broker: the objects of ``show --json``, checked. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

#: What every one has, and in which form.
_FORMS: Mapping[str, type | tuple[type, ...]] = {
    "identity": str,
    "id": str,
    "type": str,
    "format": str,
    "host": str,
    "boot_id": (str, type(None)),
    "event": (int, type(None)),
    "reason": str,
    "title": str,
    "signature": str,
    "release": str,
    "time": (str, type(None)),
    "received": str,
    "complete": bool,
    "sealed": bool,
    "contested": bool,
    "doubted": bool,
    "older_text": bool,
    "metadata_missing": bool,
    "bytes": int,
    "frames": int,
    "restored": int,
    "gaps": list,
    "source": dict,
    "meta": dict,
    "crash": (dict, type(None)),
    "text": str,
    "raw": (str, type(None)),
}


def checked(value: Any) -> dict[str, Any]:
    """The document that somebody sent; raises ValueError when it is none. More keys than known are fine."""
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    # Older receivers do not say these.
    for key, usual in (("restored", 0), ("contested", False), ("doubted", False)):
        value.setdefault(key, usual)
    for key, form in _FORMS.items():
        if key not in value or not isinstance(value[key], form):
            raise ValueError(f"{key} is missing or wrong")
    bytes.fromhex(value["identity"])
    base64.b64decode(value["raw"] or "", validate=True)
    if not all(isinstance(gap, dict) and isinstance(gap.get("bytes"), int) for gap in value["gaps"]):
        raise ValueError("gaps is wrong")
    return value
