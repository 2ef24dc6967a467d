# SPDX-License-Identifier: GPL-2.0-or-later
"""Exports records as logs of OpenTelemetry: OTLP over HTTP in JSON
(https://opentelemetry.io/docs/specs/otlp/)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..text import escape, nanoseconds
from . import Notice, Refused
from .webhook import post

_PATH = "/v1/logs"
#: The severities of the log data model: FATAL, ERROR, INFO.
_SEVERITIES = {"panic": (21, "FATAL"), "oops": (17, "ERROR")}
_USUAL = (9, "INFO")
#: Names of the semantic conventions for what describes the machine -> our fields.
_RESOURCE = {"host.name": "host", "os.version": "release"}
_ATTRIBUTES = (
    "id",
    "type",
    "boot_id",
    "event",
    "signature",
    "title",
    "reason",
    "complete",
    "sealed",
    "doubted",
)


class Otlp:
    """Exports one log record for each of ours, the text as its body."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.name = "otlp"
        self.most = 1
        self._url = url.rstrip("/") + _PATH
        self._headers = {**headers, "Content-Type": "application/json"}

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        for notice in batch:
            answer = post(self._url, json.dumps(request(notice)).encode(), self._headers)
            if said := _rejected(answer):
                raise Refused(said)


def request(notice: Notice) -> Mapping[str, Any]:
    """Return the ExportLogsServiceRequest for a record."""
    record = notice.record
    received = nanoseconds(record["received"])
    number, word = _SEVERITIES.get(record["type"], _USUAL)
    resource = {"service.name": "panicast", "os.type": "linux"}
    resource.update({name: record[key] for name, key in _RESOURCE.items() if record[key]})
    log = {
        "timeUnixNano": str(nanoseconds(record["time"]) if record["time"] else received),
        "observedTimeUnixNano": str(received),
        "severityNumber": number,
        "severityText": word,
        "eventName": f"panicast.{record['type']}",
        # Without half surrogate pairs, which protobuf cannot hold.
        "body": {"stringValue": record["text"].encode("utf-8", "backslashreplace").decode()},
        "attributes": _pairs({f"panicast.{key}": record[key] for key in _ATTRIBUTES}),
    }
    scope = {"scope": {"name": "panicast"}, "logRecords": [log]}
    return {"resourceLogs": [{"resource": {"attributes": _pairs(resource)}, "scopeLogs": [scope]}]}


def _pairs(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value not in (None, "")]


def _value(value: Any) -> Mapping[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    # JSON of protobuf writes numbers of 64 bits as text.
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": escape(value)}


def _rejected(answer: bytes) -> str:
    """Return why the server took nothing though it answered 2xx; empty if it took the record."""
    try:
        partial = json.loads(answer or b"{}").get("partialSuccess") or {}
        rejected, message = int(partial.get("rejectedLogRecords", 0)), str(partial.get("errorMessage", ""))
    except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
        return ""
    return f"the collector rejects it: {message or 'without a reason'}" if rejected else ""
