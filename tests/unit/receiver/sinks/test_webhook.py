# SPDX-License-Identifier: GPL-2.0-or-later
"""The webhook against a server of the test's own."""

import json
import threading
from contextlib import closing
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.sinks import Away, Refused, webhook
from panicast_receiver.sinks.telling import notice_of as tell
from panicast_receiver.sinks.webhook import Webhook

from ..conftest import held_port
from ..db.test_fleet import record
from ..meaning.test_crash import SYSRQ
from .conftest import write
from .test_logs import endless


class Server:
    """An HTTP server that keeps what is posted and answers with the codes it is given, then 200 and
    ``answer``."""

    def __init__(self, *codes):
        posted, answers, headers = [], list(codes), {}
        self.seen, self.paths, self.answer = [], [], b""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = answers.pop(0) if answers else 200
                if code == 200:
                    posted.append(json.loads(body))
                    outer.seen.append(self.headers)
                    outer.paths.append(self.path)
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *arguments):
                pass

        self.posted, self.headers = posted, headers
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("form", ["record", "alertmanager", "chat"])
def test_webhook_formats(told, form):
    with closing(Server()) as server:
        Webhook(server.url, form).deliver([told])
    (got,) = server.posted
    if form == "record":
        assert got == told.record and got["text"] == SYSRQ
    elif form == "alertmanager":
        assert got[0]["labels"]["alertname"] == "KernelPanic"
        assert got[0]["labels"]["signature"] == told.record["signature"]
        assert got[0]["labels"]["kind"] == told.record["crash"]["kind"]
        assert (got[0]["labels"]["severity"], got[0]["labels"]["crash_severity"]) == ("critical", "low")
    else:
        assert "&lt;b&gt;" in got["text"] and "<" not in got["text"] and "\n" not in got["text"]


def test_a_failing_server_is_an_error_and_so_is_none(told):
    with closing(Server(500)) as server, pytest.raises(OSError):
        Webhook(server.url, "record").deliver([told])
    with held_port() as port, pytest.raises(OSError):
        Webhook(f"http://127.0.0.1:{port}/", "record").deliver([told])


@pytest.mark.parametrize(
    "words", [b"HTTP/1.1 100 Continue\r\n\r\n", b"x", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n"], ids=repr
)
@pytest.mark.parametrize("pause_s", [0, 0.02])
def test_an_answer_without_an_end_ends(told, monkeypatch, words, pause_s):
    """A server that never stops, as fast as it can, or slowly enough for every step to be in time."""
    monkeypatch.setattr(webhook, "_ANSWERS_S", 0.5)
    with endless(words, pause_s) as port, pytest.raises(OSError):
        Webhook(f"http://127.0.0.1:{port}/", "record").deliver([told])


def test_only_2xx_is_delivered_and_a_redirection_is_not_followed(told):
    with closing(Server()) as elsewhere, closing(Server(302, 307, 429, 413, 404)) as server:
        server.headers.update({"Location": elsewhere.url, "Retry-After": "7"})
        hook = Webhook(server.url, "record")
        for code in (302, 307, 429):
            with pytest.raises(Away, match=str(code)) as caught:
                hook.deliver([told])
            assert caught.value.retry_s == 7
        with pytest.raises(Refused, match="413"):
            hook.deliver([told])
        with pytest.raises(OSError, match="404"):
            hook.deliver([told])
    assert elsewhere.posted == [] and server.posted == []


def test_a_time_that_is_over_asks_for_no_pause():
    assert webhook.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 0
    assert webhook.seconds("Fri, 31 Dec 9999 23:59:59 GMT") > 1e9


def test_a_test_pages_nobody(store, tmp_path):
    write(store, record("test", "a", 1, 1, 0, "x"), record("oops", "a", 1, 2, 0, SYSRQ))
    with closing(Reader(tmp_path)) as reader, closing(Server()) as server:
        for entry in reader.select(Query()):
            Webhook(server.url, "alertmanager").deliver([tell(reader, entry)])
    assert [got[0]["labels"]["severity"] for got in server.posted] == ["info", "warning"]


def test_a_login_in_the_webhooks_address_is_not_told(told, monkeypatch):
    def broken(*_, **__):
        raise HTTPException

    monkeypatch.setattr(webhook._OPENER, "open", broken)
    with pytest.raises(OSError, match=r"^https://alerts:9093: HTTPException$"):
        Webhook("https://me:hunter2@alerts:9093/", "record").deliver([told])
