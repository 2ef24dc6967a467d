# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page does while much is asked of it: who asks whether it lives is told; nobody waits for ever."""

import asyncio
import contextlib
import re
import resource
import socket
import statistics
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp.web import HTTPBadRequest

from panicast_receiver.db import schema
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError
from panicast_receiver.web import database
from panicast_receiver.web.database import Database, check
from panicast_receiver.web.sending import LARGE, MOST
from panicast_receiver.web.site import body_of
from panicast_receiver.web.visitors import Visitors

from ..conftest import PATIENCE_S, wait_until
from ..db.test_fleet import record
from .website import website

_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS x FROM n"


def _timed(site, path):
    began = time.monotonic()
    answer = site.ask(path)
    assert answer.status == 200 or path != "/healthz"
    return time.monotonic() - began


_FORM = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"


@pytest.mark.parametrize(
    "request_lines",
    [
        b"\x16\x03\x01 TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        _FORM + b"Content-Encoding: deflate\r\n\r\nxxxx",
        _FORM + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n\xff\xfe=1",
        _FORM.replace(b"/login", b"/api/v1/groups/000000000000")
        + b"Content-Type: application/json; charset=x\r\n\r\nno{}",
    ],
)
def test_what_is_no_request_fills_no_log(tmp_path, request_lines):
    Store(tmp_path).close()
    with website(tmp_path) as site:
        for _ in range(3):
            connection = site.connect()
            connection.connect()
            with closing(connection):
                connection.sock.sendall(request_lines)
                assert b" 400 " in connection.sock.recv(4096)
        site.process.terminate()
        said = site.process.stderr.read()
    assert said.count(b"\n") <= 2, said


@pytest.mark.parametrize("error", [ConnectionResetError(), RuntimeError("Connection closed."), ValueError()])
def test_who_goes_in_the_middle_of_a_form_is_not_our_mistake(error):
    """aiohttp's versions do not agree in what they raise then; anybody could fill the log."""

    class Gone:
        async def read(self):
            raise error

    with pytest.raises(HTTPBadRequest):
        asyncio.run(body_of(Gone()))


def test_who_is_told_to_wait_has_no_more_answered_by_that_connection(tmp_path):
    """Else he goes on, and keeps others from being answered. Nothing can be, without a database."""
    (tmp_path / "state").mkdir()
    with website(tmp_path / "state") as site:
        connection = site.connect()
        connection.connect()
        with closing(connection):
            connection.sock.sendall(b"GET /groups HTTP/1.1\r\nHost: localhost\r\n\r\n" * 9)
            answers = b"".join(iter(lambda: connection.sock.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 503") == 1


def test_it_says_that_it_lives_beside_the_heaviest_pages(tmp_path):
    """Not how fast this machine is: how much longer a page takes than the word that all is well."""
    with closing(Store(tmp_path)) as store:
        large = record("panic", "h", 1, 1, 1, "\n" * (1 << 20))
        store.write([large])
        store.write(
            [record("panic", f"h-{n}", n % 200, 9 + n, n, "<6>[    1.0] x\n" * 99) for n in range(1500)]
        )
    with website(tmp_path) as site:
        paths = [f"/records/{large.id}?part=9", "/?limit=1000", f"/api/v1/records/{large.id}", "/metrics"]
        pages, stop = [], threading.Event()

        def ask(path):
            while not stop.is_set():
                pages.append(_timed(site, path))

        threads = [threading.Thread(target=ask, args=(path,)) for path in paths * 2]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(pages) >= len(threads), "pages are answered")

            def is_quick():
                del pages[:-1]
                words = [_timed(site, "/healthz") for _ in range(41)]
                wait_until(lambda: len(pages) > len(threads))
                return statistics.median(words) < statistics.median(pages) / 8

            # Once in a while: what else this machine does may take more from one than from the other.
            wait_until(is_quick, "the word comes in an eighth of a page's time")
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_a_question_that_takes_too_long_is_ended_and_said_to(tmp_path, monkeypatch):
    Store(tmp_path).close()
    asked = Database(tmp_path)
    with monkeypatch.context() as endless, pytest.raises(ReceiverError, match="takes too long; ask for less"):
        endless.setattr(database, "DEADLINE_S", 0.1)
        asyncio.run(asked.ask(lambda reader: list(reader._rows(_ENDLESS, []))))
    assert asyncio.run(asked.ask(lambda reader: reader.cursor())) == 0
    asked.close()


def test_a_page_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "DEADLINE_S", 0.1)
    made = Database(tmp_path)

    def endless(deadline):
        while True:
            check(deadline)

    with pytest.raises(ReceiverError, match="takes too long"):
        asyncio.run(made.make(endless))
    made.close()


def test_strangers_who_say_nothing_keep_nobody_out(tmp_path):
    """More than the page has files to open; the half of them began to ask, or to say a token."""
    Store(tmp_path).close()
    asked = b"GET /healthz HTTP/1.1\r\n"
    words = (b"", asked, b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, limits[1]))
    try:
        started = website(tmp_path)
        site = started.__enter__()
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[1], 4096), limits[1]))
        with contextlib.ExitStack() as stack:
            stack.push(started)
            for number in range(1200):
                connection = stack.enter_context(closing(site.connect()))
                connection.connect()
                with contextlib.suppress(ConnectionError):
                    connection.sock.sendall(words[number % len(words)])
            assert site.ask("/healthz").status == 200
            assert site.ask("/api/v1/records").status == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_who_may_read_is_let_be_while_it_is_answered(tmp_path):
    ended = []

    class Connection:
        def force_close(self):
            ended.append(self)

    visitors, reader, strangers = Visitors(most=2), Connection(), [Connection() for _ in range(4)]
    visitors.heard(reader)
    with visitors.answering(reader):
        for stranger in strangers:
            visitors.heard(stranger)
    assert ended == strangers[:3]
    visitors.heard(Connection())
    assert reader not in ended


def test_who_does_not_read_keeps_neither_memory_nor_others_from_long_answers(tmp_path):
    """Each asks for a record of 1 MiB, which JSON makes larger, and reads nothing of it."""
    with closing(Store(tmp_path)) as store:
        large = record("panic", "h", 1, 1, 1, "\x01" * (1 << 20))
        store.write([large])
    path = f"/api/v1/records/{large.id}"
    with website(tmp_path, "--web-proxy") as site, contextlib.ExitStack() as stack:
        assert site.ask(path).status == 200
        before = _memory_kib(site)
        for number in range(150):
            connection = stack.enter_context(closing(site.connect()))
            connection.connect()
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            who = f"192.0.2.{number // 30}"
            connection.request("GET", f"{site.base}{path}", headers={"X-Forwarded-For": who})
        # In the end whoever comes has a place, and is told all.
        deadline = time.monotonic() + PATIENCE_S
        while (answer := site.ask(path)).status != 200:
            assert answer.status == 503 and time.monotonic() < deadline, answer
            time.sleep(0.1)
        assert len(answer.body) > 6 << 20
        # 6 MiB of JSON, and again as bytes, and what of it waits in the connection.
        assert _memory_kib(site) - before < (MOST * 14 + 64) << 10


def _memory_kib(site):
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1])


def test_what_stays_open_to_look_at_is_the_file_that_has_the_name(tmp_path):
    Store(tmp_path).close()
    looked = Database(tmp_path)
    asyncio.run(looked.look())
    (tmp_path / schema.FILE_NAME).rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(ReceiverError):
            asyncio.run(looked.look())
    Store(tmp_path).close()
    asyncio.run(looked.look())
    (tmp_path / schema.FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(ReceiverError):
        asyncio.run(looked.look())
    looked.close()


def test_one_visitor_has_one_long_answer_after_the_other(tmp_path):
    with closing(Store(tmp_path)) as store:
        long = record("panic", "h", 1, 1, 1, "x" * 2 * LARGE)
        store.write([long])
    with website(tmp_path) as site:
        answers = [site.ask(f"/api/v1/records/{long.id}") for _ in range(MOST + 2)]
    assert {answer.status for answer in answers} == {200} and len(answers[0].body) > LARGE
