# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON by HTTP POST: the record itself, or as Alertmanager and chats like Slack want it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any, Callable

from . import Told

_TIMEOUT_S = 10


def _alertmanager(told: Told) -> Any:
    record = told.record
    labels = {"alertname": "Kernel" + record["type"].capitalize(), "severity": "critical"}
    labels.update({key: record[key] for key in ("host", "signature", "release") if record[key]})
    notes = {"summary": told.line, "record": record["id"]}
    return [{"labels": labels, "annotations": notes, "startsAt": record["received"]}]


def _chat(told: Told) -> Any:
    # Slack's own three characters, so that a reason cannot become a link or a mention.
    line = told.line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": f"{line} (record {told.record['id']})"}


FORMATS: dict[str, Callable[[Told], Any]] = {
    "record": lambda told: told.record,
    "alertmanager": _alertmanager,
    "chat": _chat,
}


class Webhook:
    """Posts to ``url`` in one of FORMATS; whatever is not answered by 2xx is a failure."""

    def __init__(self, url: str, form: str) -> None:
        self.name = "webhook"
        self.most = 1
        self._url = url
        self._form = FORMATS[form]

    def deliver(self, batch: Sequence[Told]) -> None:
        """See Sink."""
        for told in batch:
            self._post(told)

    def _post(self, told: Told) -> None:
        request = urllib.request.Request(
            self._url,
            json.dumps(self._form(told)).encode(),
            {"Content-Type": "application/json", "User-Agent": "panicast-receiver"},
        )
        try:
            # urllib raises for 4xx and 5xx and follows redirections; the URL's scheme was checked before.
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                answer.read(1)
        except HTTPException as error:
            raise OSError(f"{self._url}: {error!r}") from error
