# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds JSON Schemas of values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
STRING: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
TRUTH: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
STRINGS: Schema = {"type": "array", "items": STRING}
NAMED_STRINGS: Schema = {"type": "object", "additionalProperties": STRING}

#: JSON Schema's types -> what Python's json makes of them.
_PYTHON = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def or_null(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def with_properties(properties: Mapping[str, Schema], **more: Any) -> Schema:
    """Return the schema of an object that has all of these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def digits(number: int) -> Schema:
    """Return the schema of a string with so many hexadecimal digits."""
    return {"type": "string", "pattern": f"^[0-9a-f]{{{number}}}$"}


def types(schema: Schema) -> tuple[type, ...]:
    """Return the Python types that a value of this schema may have."""
    return tuple(_PYTHON[one["type"]] for one in schema.get("anyOf", (schema,)))
