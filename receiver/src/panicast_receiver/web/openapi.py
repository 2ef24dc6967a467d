# SPDX-License-Identifier: GPL-2.0-or-later
"""Describes the API (https://spec.openapis.org/oas/v3.1.0). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ..db.boots import STATES
from ..records.fields import FIELDS, TEXT_FIELDS, Field
from ..records.forms import (
    NAMED_STRINGS,
    STRING,
    STRINGS,
    TIME,
    TRUTH,
    WHOLE,
    Schema,
    digits,
    or_null,
    with_properties,
)
from . import parameters
from .parameters import Parameter
from .site import API


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _described(field: Field) -> Schema:
    return {**field.schema, "description": field.text}


_RECORD = {field.name: _described(field) for field in FIELDS}
_TEXT = {field.name: _described(field) for field in TEXT_FIELDS}
_SCHEMAS: Mapping[str, Schema] = {
    "Record": with_properties(_RECORD),
    "RecordWithText": with_properties({**_RECORD, **_TEXT}),
    "Records": with_properties(
        {
            "records": {"type": "array", "items": _ref("Record")},
            "next": {**or_null(STRING), "description": "What `before` takes to go on; null at the end."},
        }
    ),
    "Group": with_properties(
        {
            "signature": digits(12),
            "title": STRING,
            "titles": STRINGS,
            "records": WHOLE,
            "hosts": WHOLE,
            "first": TIME,
            "last": TIME,
            "kernels": STRINGS,
        }
    ),
    "Groups": with_properties({"groups": {"type": "array", "items": _ref("Group")}}),
    "Host": with_properties(
        {
            "host": STRING,
            "state": {"type": "string", "enum": list(STATES)},
            "last_seen": TIME,
            "first_seen": TIME,
            "panicked": or_null(TIME),
            "kernel": STRING,
            "module": STRING,
            "interfaces": NAMED_STRINGS,
            "ip": or_null(STRING),
            "boot_id": STRING,
            "sealed": TRUTH,
        }
    ),
    "Hosts": with_properties({"hosts": {"type": "array", "items": _ref("Host")}}),
    "Error": with_properties({"error": {**STRING, "description": "What is wrong, for people."}}),
}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": digits(12),
}
_LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "Go on after this event.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
}


def _content(kind: str, schema: Schema) -> Schema:
    return {kind: {"schema": schema}}


def _answers(good: Schema, wrong: Sequence[int], secured: bool) -> Schema:
    meanings = {
        400: "A parameter is wrong.",
        401: "No token, or a wrong one.",
        404: "No such record.",
        503: "The database cannot be read now.",
    }
    errors = sorted({*wrong, 503, *([401] if secured else [])})
    told = _content("application/json", _ref("Error"))
    return {
        "200": {"description": "As asked for.", "content": good},
        **{str(status): {"description": meanings[status], "content": told} for status in errors},
    }


def _operation(
    text: str,
    good: Schema,
    secured: bool,
    known: Sequence[Parameter] = (),
    more: Sequence[Schema] = (),
) -> Schema:
    described = [
        {"name": one.name, "in": "query", "description": one.text, "schema": one.schema} for one in known
    ]
    wrong = [400, *([404] if _ID in more else [])]
    return {
        "get": {
            "summary": text,
            "parameters": [*more, *described],
            "responses": _answers(good, wrong, secured),
        }
    }


def document(base: str, secured: bool) -> dict[str, Any]:
    """Return the description of the page below the path ``base``; ``secured`` says that it needs a
    token."""

    def json_of(name: str) -> Schema:
        return _content("application/json", _ref(name))

    listed = (*parameters.FILTERS, parameters.LIMIT, parameters.BEFORE)
    grouped = (parameters.GROUP, parameters.HOST, parameters.SINCE, parameters.SEARCH, parameters.LIMIT)
    paths = {
        f"{API}/records": _operation("Records, newest first.", json_of("Records"), secured, listed),
        f"{API}/records/{{id}}": _operation(
            "A record with its text.", json_of("RecordWithText"), secured, (), (_ID,)
        ),
        f"{API}/records/{{id}}/text": _operation(
            "A record's text, byte for byte as it arrived.",
            _content("application/octet-stream", {}),
            secured,
            (),
            (_ID,),
        ),
        f"{API}/groups": _operation(
            "The crashes, the same one of many hosts once, newest first.",
            json_of("Groups"),
            secured,
            grouped,
        ),
        f"{API}/hosts": _operation(
            "The hosts that were heard.", json_of("Hosts"), secured, (parameters.STATE,)
        ),
        f"{API}/events": _operation(
            "Records as they are stored and completed: server-sent events of the type record, a Record as "
            "data.",
            _content("text/event-stream", STRING),
            secured,
            parameters.FILTERS,
            (_LAST_EVENT,),
        ),
    }
    token = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "panicast-receiver",
            "version": version("panicast-receiver"),
            "description": "The last words of crashed machines. Names and meanings are stable; new names may "
            "be added.",
        },
        "servers": [{"url": base or "/"}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS, **({"securitySchemes": token} if secured else {})},
        **({"security": [{"token": []}]} if secured else {}),
    }
