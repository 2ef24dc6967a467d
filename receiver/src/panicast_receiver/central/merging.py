# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of the central store, and the SQL that fills them. Pure: nothing here talks to a
server."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from ..db import words
from ..records.fields import FIELDS, TEXT_FIELDS
from ..text import nanoseconds, shorten
from . import tables, taking
from .copying import line_of
from .words import vector

#: Column -> its type: a row for each record, a column for each field that has one, and how many bytes of the
#: text arrived. The same panic heard by several receivers is one row; a forged record of the same event has
#: another identity and so a row of its own. contested, doubted: as a receiver said, or as the rows show.
COLUMNS: Mapping[str, str] = {
    **{field.name: field.column for field in (*FIELDS, *TEXT_FIELDS) if field.column},
    "known": "integer NOT NULL",
}

#: Taken for the time of a transaction by whoever looks which version the tables have: "panicast".
LOCK = "SELECT pg_advisory_xact_lock(8097875003906814836)"
#: Whether there are tables of ours, and of which version. Needs no right on them. Nothing that looks names up
#: would do: a session remembers that a name was missing, even when it has waited for the lock.
HAS_TABLES = (
    "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'panicast' AND tablename = 'migrations'"
)
VERSION = "SELECT coalesce(max(version), 0) FROM panicast.migrations"
#: What makes a version of the one before, from version 1 on.
MIGRATIONS: Sequence[str] = (
    f"""
CREATE SCHEMA IF NOT EXISTS panicast;
CREATE TABLE panicast.migrations (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());
CREATE TABLE panicast.records (
    {", ".join(f"{name} {form}" for name, form in COLUMNS.items())},
    stored timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX records_by_id ON panicast.records (id text_pattern_ops);
CREATE INDEX records_by_time ON panicast.records (received);
CREATE INDEX records_by_host ON panicast.records (host, received);
CREATE INDEX records_by_signature ON panicast.records (signature, received);
CREATE INDEX records_by_boot ON panicast.records (boot_id, event);
""",
    "ALTER TABLE panicast.records ADD COLUMN IF NOT EXISTS restored integer NOT NULL DEFAULT 0;",
    "ALTER TABLE panicast.records ADD COLUMN IF NOT EXISTS contested boolean NOT NULL DEFAULT false, "
    "ADD COLUMN IF NOT EXISTS doubted boolean NOT NULL DEFAULT false;",
    "ALTER TABLE panicast.records ADD COLUMN IF NOT EXISTS kept text NOT NULL DEFAULT '';",
    tables.SCHEMA,
)
APPLIED = "INSERT INTO panicast.migrations (version) VALUES (%s)"

#: Bytes of what is in an index, or is to fit on a line; who publishes may be another version.
_BOUNDS = {"id": 64, "type": 16, "host": 255, "signature": 64, "title": 512, "release": 255}
_NAMES = ", ".join(COLUMNS)
#: Which of two sightings of a record is kept: sealed before unsealed, whole before cut, more before less, one
#: whose meaning was looked for before one that nobody has understood yet.
_RANK = "({0}.sealed, {0}.complete, {0}.known, {0}.meaning <> 'pending')"
_UPDATED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in ("identity", "received"))

STAGE = f"CREATE TEMPORARY TABLE staging ON COMMIT DROP AS SELECT {_NAMES} FROM panicast.records WHERE false"
COPY = f"COPY staging ({_NAMES}) FROM STDIN"
#: In the order of their keys, so that two that merge the same records do not wait for each other for ever.
MERGE = f"""
INSERT INTO panicast.records ({_NAMES})
SELECT DISTINCT ON (identity) {_NAMES} FROM staging
ORDER BY identity, sealed DESC, complete DESC, known DESC, meaning <> 'pending' DESC
ON CONFLICT (identity) DO UPDATE
SET {_UPDATED}, received = least(records.received, excluded.received), stored = now()
WHERE {_RANK.format("excluded")} > {_RANK.format("records")}
"""

#: Whom to believe, of what was merged: each receiver heard but a part. As db/belief.py does: what is not
#: sealed after its host has sealed something (a hello, too), and before that of the same boot. By the host's
#: name always: who has a key of its own can seal with another host's boot id.
BELIEVE = """
UPDATE panicast.records AS one SET doubted = true, contested = false
WHERE NOT sealed AND NOT doubted AND identity IN (SELECT identity FROM staging)
AND EXISTS (
    SELECT 1 FROM panicast.records AS other
    WHERE other.host = one.host AND other.sealed AND other.received <= one.received
    UNION ALL SELECT 1 FROM panicast.boots WHERE boots.host = one.host AND boots.sealed
    AND (boots.first_ns <= (extract(epoch FROM one.received) * 1000000)::bigint * 1000
        OR encode(boots.boot_id, 'hex')::uuid = one.boot_id)
);
UPDATE panicast.records AS one SET doubted = true, contested = false
WHERE NOT sealed AND NOT doubted AND (boot_id, host) IN (SELECT boot_id, host FROM staging)
AND EXISTS (
    SELECT 1 FROM panicast.records AS other
    WHERE other.host = one.host AND other.sealed AND other.boot_id = one.boot_id
);
UPDATE panicast.records AS one SET contested = true
WHERE NOT contested AND NOT doubted AND (boot_id, event) IN (SELECT boot_id, event FROM staging)
AND EXISTS (
    SELECT 1 FROM panicast.records AS other WHERE other.boot_id = one.boot_id AND other.event = one.event
    AND other.identity <> one.identity AND NOT other.doubted AND (other.sealed OR NOT one.sealed)
);
"""


def line(document: Mapping[str, Any]) -> str:
    """Return a document as a line for COPY, in PostgreSQL's text format."""
    row = {
        **document,
        **{name: shorten(document[name], most) for name, most in _BOUNDS.items()},
        "identity": "\\x" + document["identity"],
        "known": _known(document),
        "raw": None if document["raw"] is None else "\\x" + base64.b64decode(document["raw"]).hex(),
    }
    return line_of(row[name] for name in COLUMNS)


def told(document: Mapping[str, Any]) -> str:
    """Return what taking.py is told of a document, as a line for COPY."""
    return _told(document, _known(document), nanoseconds(document["received"]))


def told_again(row: Mapping[str, Any]) -> str:
    """Return the same of a row of taking.OLDER."""
    return _told(row, row["known"], row["received_ns"])


def _told(document: Mapping[str, Any], known: int, received_ns: int | None) -> str:
    name = shorten(document["host"], _BOUNDS["host"])
    meta = [text for text in document["meta"].values() if isinstance(text, str)]
    said = (document["id"], document["reason"], *meta)
    text = document["text"].encode("utf-8", "backslashreplace")
    crash = document["crash"] or {}
    row = {
        **document,
        "identity": "\\x" + document["identity"],
        "known": known,
        "understood": document["meaning"] != "pending",
        "received_ns": received_ns,
        "labels": document.get("labels"),
        "words": vector(words.made(name, document["release"], document["type"], said, crash, text)),
    }
    return line_of(row[name] for name in taking.TOLD)


def _known(document: Mapping[str, Any]) -> int:
    return int(document["bytes"] - sum(gap["bytes"] for gap in document["gaps"]))
