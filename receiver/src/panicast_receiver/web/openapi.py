# SPDX-License-Identifier: GPL-2.0-or-later
"""The API's document (https://spec.openapis.org/oas/v3.1.0). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ..db.boots import STATES
from ..wire.v1 import TYPES
from . import parameters
from .parameters import Parameter
from .site import API

Schema = Mapping[str, Any]
_STRING: Schema = {"type": "string"}
_WHOLE = {"type": "integer", "minimum": 0}
_TRUTH = {"type": "boolean"}
_TIME = {"type": "string", "format": "date-time"}
_STRINGS = {"type": "array", "items": _STRING}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Mapping[str, Schema], **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _crash() -> Schema:
    """Records that were looked at by an older receiver lack what it did not know."""
    found = _object(_CRASH)
    return {**found, "required": [key for key in _CRASH if key not in _NEWER]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_CRASH: Mapping[str, Schema] = {
    "title": _STRING,
    "signature": _STRING,
    "reason": _STRING,
    "at": _STRING,
    "trace": _STRINGS,
    "modules": _STRINGS,
    "hardware": _STRING,
    "kernel": _STRING,
    "comm": _STRING,
    "kind": _STRING,
    "severity": _STRING,
    "module": _STRING,
    "file": _STRING,
    "taint": _STRING,
    "version": _WHOLE,
}
_NEWER = ("kind", "severity", "module", "file", "taint", "version")
_RECORD: Mapping[str, Schema] = {
    "id": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
    "type": {"type": "string", "enum": sorted(TYPES.values())},
    "format": {"type": "string", "enum": ["v1", "raw", "netconsole", "pstore"]},
    "host": _STRING,
    "boot_id": _or_null({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    "event": _or_null(_WHOLE),
    "reason": _STRING,
    "time": {**_or_null(_TIME), "description": "The sender's clock."},
    "received": {**_TIME, "description": "Our clock when the first frame came."},
    "complete": _TRUTH,
    "gaps": {"type": "array", "items": _object({"offset": _WHOLE, "bytes": _WHOLE})},
    "metadata_missing": _TRUTH,
    "bytes": _WHOLE,
    "frames": _WHOLE,
    "restored": _WHOLE,
    "sealed": _TRUTH,
    "contested": _TRUTH,
    "doubted": _TRUTH,
    "older_text": _TRUTH,
    "release": _STRING,
    "title": {**_STRING, "description": "The crash in a line."},
    "signature": {**_STRING, "description": "The group of the same crashes; empty when there is none (yet)."},
    "meaning": {"type": "string", "enum": ["found", "pending", "failed"]},
    "meaning_failure": {**_or_null(_STRING), "description": "Why nobody knows what the text means."},
    "crash": _or_null(_crash()),
    "source": _object({"mac": _or_null(_STRING), "ip": _or_null(_STRING), "iface": _or_null(_STRING)}),
    "meta": {"type": "object", "additionalProperties": _STRING},
}
_SCHEMAS: Mapping[str, Schema] = {
    "Record": _object(_RECORD),
    "RecordWithText": _object(
        {**_RECORD, "text": {**_STRING, "description": "Each gap is a line `[panicast: N bytes missing]`."}}
    ),
    "Records": _object(
        {
            "records": {"type": "array", "items": _ref("Record")},
            "next": {**_or_null(_STRING), "description": "What `before` takes to go on; null at the end."},
        }
    ),
    "Group": _object(
        {
            "signature": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
            "title": _STRING,
            "records": _WHOLE,
            "hosts": _WHOLE,
            "first": _TIME,
            "last": _TIME,
            "kernels": _STRINGS,
        }
    ),
    "Groups": _object({"groups": {"type": "array", "items": _ref("Group")}}),
    "Host": _object(
        {
            "host": _STRING,
            "state": {"type": "string", "enum": list(STATES)},
            "last_seen": _TIME,
            "first_seen": _TIME,
            "panicked": _or_null(_TIME),
            "kernel": _STRING,
            "module": _STRING,
            "interfaces": {"type": "object", "additionalProperties": _STRING},
            "ip": _or_null(_STRING),
            "boot_id": _STRING,
            "sealed": _TRUTH,
        }
    ),
    "Hosts": _object({"hosts": {"type": "array", "items": _ref("Host")}}),
    "Error": _object({"error": {**_STRING, "description": "What is wrong, for people."}}),
}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
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
    """The document of the page below the path ``base``; ``secured``: a token is asked for."""

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
            _content("text/event-stream", _STRING),
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
