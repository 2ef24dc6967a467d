# SPDX-License-Identifier: GPL-2.0-or-later
"""Describes the API (https://spec.openapis.org/oas/v3.1.0). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ..db.boots import STATES
from ..db.grouped import COMPARED
from ..db.groups import ACTIONS, LONGEST
from ..db.groups import STATES as GROUP_STATES
from ..db.maintenance import LONGEST as LONGEST_OF_WINDOW
from ..db.maintenance import STATES as WINDOW_STATES
from ..db.traits import MOST_CRASHES
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
from . import crashrates, parameters
from .parameters import Parameter
from .site import API


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _described(field: Field) -> Schema:
    return {**field.schema, "description": field.text}


_RECORD = {field.name: _described(field) for field in FIELDS}
_TEXT = {field.name: _described(field) for field in TEXT_FIELDS}
_STATUS = with_properties(
    {
        "state": {"type": "string", "enum": list(GROUP_STATES)},
        "by": {**STRING, "description": "Who said so; empty if nobody did."},
        "since": or_null(TIME),
        "until": {**or_null(TIME), "description": "Until when it is muted."},
        "after": {**or_null(TIME), "description": "From when on there should be none, if it is resolved."},
        "kernels": {**STRINGS, "description": "The kernels in which it is resolved."},
    }
)
_GROUP: Mapping[str, Schema] = {
    "signature": digits(12),
    "title": or_null(STRING),
    "titles": STRINGS,
    "records": WHOLE,
    "hosts": WHOLE,
    "first": or_null(TIME),
    "last": or_null(TIME),
    "kernels": STRINGS,
    "status": _STATUS,
}


def _list_of(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "array", "items": with_properties(properties)}


_WINDOW: Mapping[str, Schema] = {
    "number": WHOLE,
    "state": {"type": "string", "enum": list(WINDOW_STATES)},
    "hosts": {**STRINGS, "description": "Names, patterns and labels (rack=r12)."},
    "from": TIME,
    "until": TIME,
    "at": {**TIME, "description": "When it was made."},
    "by": STRING,
    "via": STRING,
    "note": STRING,
    "ended": {**or_null(TIME), "description": "When somebody ended it early."},
    "ended_by": STRING,
    "ended_via": STRING,
    "ended_note": STRING,
}


def _written(name: str, least: int = 0) -> Schema:
    return {**STRING, "minLength": least, "maxLength": LONGEST_OF_WINDOW[name]}


_FRACTION: Schema = {"type": "number"}
_CHANGE = {"at": TIME, "by": STRING, "via": STRING, "action": STRING, "detail": STRING, "note": STRING}
_SCHEMAS: Mapping[str, Schema] = {
    "Record": with_properties(_RECORD),
    "RecordWithText": with_properties({**_RECORD, **_TEXT}),
    "Records": with_properties(
        {
            "records": {"type": "array", "items": _ref("Record")},
            "next": {**or_null(STRING), "description": "What `before` takes to go on; null at the end."},
        }
    ),
    "Group": with_properties(_GROUP),
    "GroupWithStory": with_properties(
        {
            **_GROUP,
            "changes": {**_list_of(_CHANGE), "description": "What was decided, newest first."},
            "by_host": {
                **_list_of({"host": STRING, "records": WHOLE}),
                "description": "The hosts with the most records.",
            },
            "by_kernel": _list_of({"kernel": STRING, "records": WHOLE}),
            "by_trace": {
                **_list_of({"title": STRING, "trace": STRINGS, "records": WHOLE, "last_record": digits(12)}),
                "description": f"How its newest {COMPARED} records differ, by the first frames of the trace.",
            },
            "first_record": or_null(digits(12)),
            "last_record": or_null(digits(12)),
        }
    ),
    "Change": {
        "type": "object",
        "properties": {
            "action": {
                "type": "string",
                "enum": list(ACTIONS),
                "description": "; ".join(f"{name}: {action.text}" for name, action in ACTIONS.items()),
            },
            "detail": {
                **STRING,
                "maxLength": LONGEST["detail"],
                "description": "; ".join(
                    f"{name}: {action.detail}" for name, action in ACTIONS.items() if action.detail
                ),
            },
            "note": {**STRING, "maxLength": LONGEST["note"], "description": "What others should know."},
            "by": {**STRING, "minLength": 1, "maxLength": LONGEST["by"], "description": "Who you are."},
        },
        "required": ["action", "by"],
        "additionalProperties": False,
    },
    "Window": with_properties(_WINDOW),
    "Windows": with_properties({"windows": {"type": "array", "items": _ref("Window")}}),
    "Start": {
        "type": "object",
        "properties": {
            "hosts": {
                **_written("hosts", 1),
                "description": "Names, in which * and ? stand for other characters, and labels "
                "(rack=r12), separated by blanks; a host that one of them fits is in maintenance.",
            },
            "from": {
                **_written("begin"),
                "description": "When it begins: 2h (from now), or a time; empty: now.",
            },
            "until": {**_written("until", 1), "description": "When it ends, said in the same way."},
            "note": {**_written("note"), "description": "Why, for others."},
            "by": {**_written("by", 1), "description": "Who you are."},
        },
        "required": ["hosts", "until", "by"],
        "additionalProperties": False,
    },
    "End": {
        "type": "object",
        "properties": {"note": _written("note"), "by": {**_written("by", 1), "description": "Who you are."}},
        "required": ["by"],
        "additionalProperties": False,
    },
    "Groups": with_properties({"groups": {"type": "array", "items": _ref("Group")}}),
    "Host": with_properties(
        {
            "host": STRING,
            "state": {"type": "string", "enum": list(STATES)},
            "why": {**STRING, "description": "Why it said goodbye: reboot, power off, …"},
            "last_seen": TIME,
            "first_seen": TIME,
            "panicked": or_null(TIME),
            "kernel": STRING,
            "module": STRING,
            "interfaces": NAMED_STRINGS,
            "ip": or_null(STRING),
            "boot_id": STRING,
            "sealed": TRUTH,
            "labels": NAMED_STRINGS,
            "maintenance": {**or_null(WHOLE), "description": "The number of the window in which it is."},
        }
    ),
    "Hosts": with_properties({"hosts": {"type": "array", "items": _ref("Host")}}),
    "Compared": with_properties(
        {
            "value": {**STRING, "description": "The kernel, the label's value, the hardware …"},
            "hosts": {
                **or_null(WHOLE),
                "description": "Hosts that were heard; null where only crashes tell.",
            },
            "host_days": {**or_null(_FRACTION), "description": "For how long they were heard."},
            "unsealed_days": {**or_null(_FRACTION), "description": "Those that anybody can make up."},
            "crashes": {**WHOLE, "description": "Boots that panicked."},
            "crashed": {**WHOLE, "description": "Hosts that did."},
            "share": {**or_null(_FRACTION), "description": "Of the hosts that crashed and say it, 0 to 1."},
            "elsewhere": {
                **or_null(_FRACTION),
                "description": "Of the hosts with other crashes than the group's.",
            },
            "rate": {
                **or_null(with_properties({"low": _FRACTION, "value": _FRACTION, "high": _FRACTION})),
                "description": f"Crashes in {crashrates.PER} host-days, between low and high 19 times of 20.",
            },
            "beside": {
                "type": "string",
                "enum": ["", *crashrates.BESIDE],
                "description": "Whether it crashes more often than `than`; of what only crashes tell, "
                "whether it is more often in the group than elsewhere.",
            },
        }
    ),
    "Comparison": with_properties(
        {
            "by": STRING,
            "group": {**or_null(digits(12)), "description": "Only crashes of this group."},
            "rows": {"type": "array", "items": _ref("Compared")},
            "than": {**STRING, "description": "The one beside which the others are put."},
            "unsealed": {
                **or_null(_FRACTION),
                "description": "Which part of the host-days, or of the crashes, is unsealed, 0 to 1.",
            },
            "untold": {**WHOLE, "description": "Crashes that do not say what is asked for."},
            "cut": {**TRUTH, "description": f"Whether only the newest {MOST_CRASHES:,} crashes count."},
        }
    ),
    "Error": with_properties({"error": {**STRING, "description": "What is wrong, for people."}}),
}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": digits(12),
}
_SIGNATURE = {**_ID, "name": "group"}
_NUMBER = {**_ID, "name": "number", "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"}}
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
        403: "Things are changed only where readers must log in.",
        404: "No such record, group or window.",
        415: "It is not JSON.",
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
    finds: bool = False,
) -> Schema:
    """Return a question; ``finds`` says that what a parameter names must be there."""
    described = [
        {"name": one.name, "in": "query", "description": one.text, "schema": one.schema} for one in known
    ]
    wrong = [400, *([404] if finds or any(one["in"] == "path" for one in more) else [])]
    return {
        "get": {
            "summary": text,
            "parameters": [*more, *described],
            "responses": _answers(good, wrong, secured),
        }
    }


def _change(text: str, body: str, good: str, secured: bool, more: Sequence[Schema] = ()) -> Schema:
    wrong = [400, 403, 415, *([404] if more else [])]
    return {
        "post": {
            "summary": text,
            "parameters": [*more],
            "requestBody": {"required": True, "content": _content("application/json", _ref(body))},
            "responses": _answers(_content("application/json", _ref(good)), wrong, secured),
        }
    }


def document(base: str, secured: bool) -> dict[str, Any]:
    """Return the description of the page below the path ``base``; ``secured`` says that it needs a
    token."""

    def json_of(name: str) -> Schema:
        return _content("application/json", _ref(name))

    listed = (*parameters.FILTERS, parameters.LIMIT, parameters.BEFORE)
    grouped = (*parameters.OF_GROUPS, parameters.LIMIT)
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
        f"{API}/groups/{{group}}": {
            **_operation(
                "A group of crashes, with what was decided about it.",
                json_of("GroupWithStory"),
                secured,
                (),
                (_SIGNATURE,),
            ),
            **_change(
                "Change the state of a group, or add a note or a link.",
                "Change",
                "GroupWithStory",
                secured,
                (_SIGNATURE,),
            ),
        },
        f"{API}/hosts": _operation(
            "The hosts that were heard.",
            json_of("Hosts"),
            secured,
            parameters.OF_HOSTS,
        ),
        f"{API}/maintenance": {
            **_operation(
                "The maintenance windows, the newest first.",
                json_of("Windows"),
                secured,
                (parameters.OVER,),
            ),
            **_change("Start a maintenance window.", "Start", "Window", secured),
        },
        f"{API}/maintenance/{{number}}": _change(
            "End a maintenance window early.", "End", "Window", secured, (_NUMBER,)
        ),
        f"{API}/compare": _operation(
            "How often crashes come by kernel, label, hardware, firmware or module, the one that ran longest "
            "or crashed most first.",
            json_of("Comparison"),
            secured,
            parameters.OF_COMPARISON,
            finds=True,
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
