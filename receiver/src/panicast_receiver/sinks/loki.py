# SPDX-License-Identifier: GPL-2.0-or-later
"""Pushes records to Grafana Loki by its HTTP API
(https://grafana.com/docs/loki/latest/reference/loki-http-api/)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..text import nanoseconds, newest
from . import Notice
from .webhook import post

_PATH = "/loki/api/v1/push"
#: Bytes of a line, of which Loki takes 256 KiB unless told otherwise.
_LINE_BYTES = 250 << 10
#: What a line leaves out: Loki's lines are for reading and searching, the receiver keeps the rest.
_LEFT_OUT = frozenset({"raw", "gaps", "meta", "identity"})


class Loki:
    """Pushes a line for each record: its JSON, the text last."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.name = "loki"
        self.most = 1
        self._url = url.rstrip("/") + _PATH
        self._headers = {**headers, "Content-Type": "application/json"}

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        for notice in batch:
            post(self._url, json.dumps(push(notice)).encode(), self._headers)


def push(notice: Notice) -> Mapping[str, Any]:
    """Return what is pushed for a record.

    The host is in the line and not a label: each new value of a label makes a stream, of which Loki
    takes a limited number, and anybody can make up names of hosts.
    """
    record = {key: value for key, value in notice.record.items() if key not in _LEFT_OUT}
    text, most = record.pop("text"), _LINE_BYTES
    # If all but the text is too long already, Loki refuses it, and it is put aside.
    while len(line := json.dumps({**record, "text": newest(text, most)})) > _LINE_BYTES and most:
        most //= 2
    stream = {"job": "panicast", "type": record["type"]}
    return {"streams": [{"stream": stream, "values": [[str(nanoseconds(record["received"])), line]]}]}
