# SPDX-License-Identifier: GPL-2.0-or-later
"""The fields of a record as others see it: one table for JSON, the API, PostgreSQL and the
documentation.

``list --json`` prints the fields in this order. To add a field, write a row here and a line in the
reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from ..meaning.model import Meaning
from ..wire.v1 import TYPES
from .forms import (
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

#: Stands for no usual value: every receiver sends the field.
_REQUIRED: Any = object()


class Field(NamedTuple):
    """One field of a record.

    ``text`` explains it in docs/receiver.md and in the API's document. ``column`` is its type in
    PostgreSQL; empty: it stays here. ``usual`` is its value where an older receiver does not send it.
    """

    name: str
    schema: Schema
    text: str
    column: str = ""
    usual: Any = _REQUIRED

    @property
    def required(self) -> bool:
        """Tell whether every receiver that ever was sends it."""
        return self.usual is _REQUIRED


#: What older receivers did not find out about a crash.
_NEWER = ("kind", "severity", "module", "file", "taint", "names", "code", "version")
_PARTS: Mapping[str, Schema] = {"str": STRING, "int": WHOLE, "tuple[str, ...]": STRINGS}


def _crash() -> Schema:
    parts = {part.name: _PARTS[str(part.type)] for part in fields(Meaning)}
    return {**with_properties(parts), "required": [name for name in parts if name not in _NEWER]}


FIELDS: Sequence[Field] = (
    Field(
        "id", digits(12), "12 hexadecimal digits; a v1 record has the same on every receiver", "text NOT NULL"
    ),
    Field(
        "identity",
        {"type": "string", "pattern": "^([0-9a-f]{2})+$"},
        "what id is a digest of, in hexadecimal: boot id, event and a digest of the fields that all headers "
        "share; for the other formats only a digest",
        "bytea PRIMARY KEY",
    ),
    Field(
        "type",
        {"type": "string", "enum": sorted(TYPES.values())},
        "panic, oops, test, hello or bye",
        "text NOT NULL",
    ),
    Field(
        "format",
        {"type": "string", "enum": ["v1", "raw", "netconsole", "pstore"]},
        "v1, raw, netconsole or pstore",
        "text NOT NULL",
    ),
    Field(
        "host",
        STRING,
        "node name; for a raw record the name from an earlier record or hello with its MAC, else the MAC",
        "text NOT NULL",
    ),
    Field("labels", NAMED_STRINGS, "the host's labels now: {name: value}", usual={}),
    Field(
        "maintenance",
        or_null(WHOLE),
        "number of the maintenance window in which the host was when the record came; null for none",
        usual=None,
    ),
    Field(
        "boot_id", or_null(digits(32)), "the boot of a v1 record, 32 hexadecimal digits; null for raw", "uuid"
    ),
    Field("event", or_null(WHOLE), "number of a v1 record within its boot; null for raw", "bigint"),
    Field(
        "reason",
        STRING,
        "why the machine died, from the metadata or else from the panic line; may be empty",
        "text NOT NULL",
    ),
    Field(
        "time",
        or_null(TIME),
        "the sender's clock, RFC 3339 in UTC with nanoseconds; null for raw",
        "timestamptz",
    ),
    Field("received", TIME, "our clock when the first frame came", "timestamptz NOT NULL"),
    Field("complete", TRUTH, "true if neither text nor metadata is missing", "boolean NOT NULL"),
    Field(
        "gaps",
        {"type": "array", "items": with_properties({"offset": WHOLE, "bytes": WHOLE})},
        "array of {offset, bytes}: what is missing of the text",
        "jsonb NOT NULL",
    ),
    Field("metadata_missing", TRUTH, "true if the metadata (seq 0) did not arrive", "boolean NOT NULL"),
    Field("bytes", WHOLE, "length of the whole text", "integer NOT NULL"),
    Field("frames", WHOLE, "how many frames arrived", "integer NOT NULL"),
    Field(
        "restored",
        WHOLE,
        "how many lost frames parity restored",
        "integer NOT NULL DEFAULT 0",
        usual=0,
    ),
    Field("sealed", TRUTH, "true if it was sealed with one of our keys", "boolean NOT NULL"),
    Field(
        "contested",
        TRUTH,
        "true if another record claims the same boot and event",
        "boolean NOT NULL DEFAULT false",
        usual=False,
    ),
    Field(
        "doubted",
        TRUTH,
        "true if it is not sealed although its host has sealed others",
        "boolean NOT NULL DEFAULT false",
        usual=False,
    ),
    Field(
        "older_text",
        TRUTH,
        "true if the sender's log held older text that is not part of the record",
        "boolean NOT NULL",
    ),
    Field(
        "kept",
        STRING,
        "who kept the record over a reboot: `pstore` or `kdump`; empty: the crashed kernel sent it itself",
        "text NOT NULL DEFAULT ''",
        usual="",
    ),
    Field(
        "same_crash",
        STRINGS,
        "ids of other records of this crash: what it sent itself, and what was kept; 8 at most",
        usual=(),
    ),
    Field("release", STRING, "kernel release, empty when unknown", "text NOT NULL"),
    Field("title", STRING, "the crash in one line; the reason until the text is analysed", "text NOT NULL"),
    Field(
        "signature",
        STRING,
        "the group of the same crashes; empty if there is none (yet)",
        "text NOT NULL",
    ),
    Field(
        "group_state",
        {"type": "string", "enum": ["", "regressed", "open", "acknowledged", "muted", "resolved"]},
        "the state of that group now: `regressed`, `open`, `acknowledged`, `muted` or `resolved`",
        usual="",
    ),
    Field(
        "regression",
        TRUTH,
        "true if that group was resolved, and this record opened it again",
        usual=False,
    ),
    Field(
        "crash",
        or_null(_crash()),
        f"what the text means: {{{', '.join(part.name for part in fields(Meaning))}}}; "
        "null until the text is analysed",
        "jsonb",
    ),
    Field(
        "meaning",
        {"type": "string", "enum": ["found", "pending", "failed"]},
        "`found`, `pending` or `failed`: the state of the analysis",
        "text NOT NULL DEFAULT 'found'",
    ),
    Field(
        "meaning_failure",
        or_null(STRING),
        "why the analysis failed: the text took too long or too much memory, or ended the process; else null",
        "text",
    ),
    Field(
        "source",
        with_properties({"mac": or_null(STRING), "ip": or_null(STRING), "iface": or_null(STRING)}),
        "{mac, ip, iface}: the sender's addresses and our interface that heard it, null when unknown; "
        "a v1 record's mac is the one in its metadata",
        "jsonb NOT NULL",
    ),
    Field("meta", NAMED_STRINGS, "every metadata key and value as sent", "jsonb NOT NULL"),
)

#: What a record shown alone has besides.
TEXT_FIELDS: Sequence[Field] = (
    Field(
        "text",
        STRING,
        "the text, each gap as a line `[panicast: N bytes missing]`; bytes that are not UTF-8 as `\\xNN`",
        "text NOT NULL",
    ),
    Field(
        "raw",
        or_null(STRING),
        "in base64 the bytes that arrived, where text does not hold them exactly; else null",
        "bytea",
    ),
    Field(
        "places",
        {
            "type": "array",
            "items": with_properties(
                {
                    "code": STRING,
                    "lines": {
                        "type": "array",
                        "items": with_properties({"function": STRING, "file": STRING, "line": WHOLE}),
                    },
                }
            ),
        },
        "array of {code, lines}: for each place in crash.code its array of {function, file, line}, the "
        "innermost of inlined functions first; empty until a line is found by `symbols`",
        usual=(),
    ),
)


def render_markdown() -> str:
    """Return the table of docs/receiver.md."""
    rows = [(field.name, field.text) for field in FIELDS]
    rows += [(field.name, f"(show) {field.text}") for field in TEXT_FIELDS]
    return "| name | meaning |\n|---|---|\n" + "".join(f"| {name} | {text} |\n" for name, text in rows)
