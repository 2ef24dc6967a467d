# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that takes alerts as the services' own documents say, and refuses what they would."""

import contextlib
import json
import re
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: RFC 3339, as Alertmanager and PagerDuty want times.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def is_time(text):
    """A time that there is."""
    return bool(TIME.fullmatch(text)) and bool(datetime.fromisoformat(text[:19]))


def alertmanager(path, headers, body):
    """postableAlerts of https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml."""
    assert path == "/api/v2/alerts" and isinstance(body, list) and body
    for alert in body:
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        for part in ("labels", "annotations"):
            assert all(LABEL.fullmatch(name) and isinstance(text, str) for name, text in alert[part].items())
        # Validate() of Alertmanager's model: a name, no empty label.
        assert alert["labels"]["alertname"] and all(alert["labels"].values())
        assert is_time(alert["startsAt"])
    return 200


def slack(path, headers, body):
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: text, with three characters
    escaped (formatting-message-text)."""
    assert path == "/services/T00/B00/XX" and set(body) == {"text"}
    assert body["text"] and len(body["text"]) < 40_000
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", body["text"])
    return 200


def pagerduty(path, headers, body):
    """https://developer.pagerduty.com/docs/send-alert-event: what a trigger must have, and the limits."""
    assert path == "/v2/enqueue" and set(body) == {"routing_key", "event_action", "dedup_key", "payload"}
    assert re.fullmatch(r"[0-9a-z]{32}", body["routing_key"]) and body["event_action"] == "trigger"
    assert 0 < len(body["dedup_key"]) <= 255
    payload = body["payload"]
    assert 0 < len(payload["summary"]) <= 1024 and payload["source"] and is_time(payload["timestamp"])
    assert payload["severity"] in ("critical", "error", "warning", "info")
    known = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
    assert set(payload) <= known and isinstance(payload["custom_details"], dict)
    return 202


def ntfy(path, headers, body):
    """https://docs.ntfy.sh/publish/#publish-as-json: to the root, the topic inside."""
    assert path == "/" and headers["Authorization"] == "Bearer tk_secret"
    assert re.fullmatch(r"[-_A-Za-z0-9]{1,64}", body["topic"]) and body["message"]
    assert body["priority"] in range(1, 6) and all(isinstance(tag, str) for tag in body["tags"])
    assert set(body) <= {"topic", "title", "message", "priority", "tags", "click"}
    return 200


def anything(path, headers, body):
    """Any JSON."""
    return 200


class Service:
    """What it was sent: ``taken``, or ``wrong`` with the reason."""

    def __init__(self, check):
        self.taken, self.wrong, self.status = [], [], 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                status = service.status
                try:
                    assert self.headers["Content-Type"] == "application/json"
                    body = json.loads(data)
                    status = status or check(self.path, self.headers, body)
                    service.taken.append(body)
                except Exception as error:
                    service.wrong.append(repr(error))
                    status = 400
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def service(check=anything):
    """One that runs until the end of the block."""
    made = Service(check)
    try:
        yield made
    finally:
        made.close()
