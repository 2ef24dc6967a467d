# SPDX-License-Identifier: GPL-2.0-or-later
"""Posts JSON by HTTP: the record itself, or in the formats of Alertmanager and chats like Slack."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Callable, NamedTuple, cast
from urllib.parse import urlsplit

from ..text import escape
from . import Away, Notice, Refused

#: Seconds for each step, and for the whole answer, which a server may send byte by byte, or never end.
_TIMEOUT_S, _ANSWERS_S = 10, 30.0
#: Bytes of an answer that are read.
_MOST = 1 << 16
#: Characters of what a server says of its status.
_LONGEST_REASON = 200
#: A test wakes nobody.
ALERT_SEVERITIES = {"panic": "critical", "oops": "warning"}
#: Answers that are about this record, not about us or the server.
_REFUSALS = frozenset({400, 413, 414, 422, 431})


def _alertmanager(notice: Notice) -> Any:
    record = notice.record
    severity = ALERT_SEVERITIES.get(record["type"], "info")
    labels = {"alertname": "Kernel" + record["type"].capitalize(), "severity": severity}
    labels.update({key: escape(record[key]) for key in ("host", "signature", "release") if record[key]})
    crash = record["crash"] or {}
    labels.update({key: escape(crash[key]) for key in ("kind", "at", "module") if crash.get(key)})
    # Not in place of the other, by which alerts are routed: a warning that ends in a panic is one, too.
    labels.update({"crash_severity": crash["severity"]} if crash.get("severity") else {})
    notes = {"summary": notice.line, "record": record["id"]}
    return [{"labels": labels, "annotations": notes, "startsAt": record["received"]}]


def _chat(notice: Notice) -> Any:
    # Slack's own three characters, so that a reason cannot become a link or a mention.
    line = notice.line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": f"{line} (record {notice.record['id']})"}


FORMATS: dict[str, Callable[[Notice], Any]] = {
    "record": lambda notice: notice.record,
    "alertmanager": _alertmanager,
    "chat": _chat,
}


class Webhook:
    """Posts to ``url`` in one of FORMATS; any answer but 2xx is a failure."""

    def __init__(self, url: str, form: str) -> None:
        self.name = "webhook"
        self.most = 1
        self._url = url
        self._form = FORMATS[form]

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        for notice in batch:
            body = json.dumps(self._form(notice)).encode()
            post(self._url, body, {"Content-Type": "application/json"})


def shown(url: str) -> str:
    """Return what logs, pages and the database say of an address: a path or a login may be all that
    keeps others from writing there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Post to an http or https address. Return the first 64 KiB of the answer. Raises Refused if the
    other side will never accept it, and OSError."""
    answer = send("POST", url, body, headers)
    if 200 <= answer.status < 300:
        return answer.body
    said = f"{shown(url)} answers {answer.status} {answer.reason}"
    if answer.status in _REFUSALS:
        raise Refused(said)
    raise Away(said, seconds(answer.headers.get("Retry-After", "")))


class Answer(NamedTuple):
    """What a server answers, and the first 64 KiB of what it says."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def send(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """Ask an http or https address, in limited time and without following anywhere. Raises OSError."""
    told = {"User-Agent": "panicast-receiver", **headers}
    request = urllib.request.Request(url, body, told, method=method)
    try:
        # The URL's scheme was checked before.
        try:
            answer = _OPENER.open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            # All but 2xx is an error to urllib.
            answer = error
        with answer:
            return Answer(answer.code, answer.reason[:_LONGEST_REASON], answer.headers, answer.read(_MOST))
    except HTTPException as error:
        raise OSError(f"{shown(url)}: {type(error).__name__}") from error


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: nobody has asked to send records there."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Until(io.RawIOBase):
    """Reads from a socket, but only until a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._file = sock, sock.makefile("rb", buffering=0)
        self._until = time.monotonic() + _ANSWERS_S

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase. Raises TimeoutError."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer has no end")
        self._sock.settimeout(min(left, _TIMEOUT_S))
        return cast(int, self._file.readinto(buffer))

    def close(self) -> None:
        """Close the file, and so let go of the socket."""
        self._file.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Until(sock))


class _Plain(http.client.HTTPConnection):
    response_class = _Answer


class _Sealed(http.client.HTTPSConnection):
    response_class = _Answer


class _PlainHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """See AbstractHTTPHandler."""
        return self.do_open(_Plain, req)


class _SealedHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """See AbstractHTTPHandler."""
        return self.do_open(_Sealed, req)


_OPENER = urllib.request.build_opener(_NoRedirection, _PlainHandler, _SealedHandler)


def seconds(retry_after: str) -> float:
    """Return what a Retry-After says, a number or a time; 0 if it says nothing."""
    text = retry_after.strip()[:40]
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
