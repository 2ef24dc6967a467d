# SPDX-License-Identifier: GPL-2.0-or-later
"""``panicast-receiver web`` in a process of its own on records that were made up, and how to ask it."""

import contextlib
import http.client
import os
import re
import select
import subprocess
import sys
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from panicast_receiver.db.store import Store

from ..conftest import PATIENCE_S, explain
from ..db.test_fleet import record
from ..meaning.test_crash import ARM, OOPS, SYSRQ

#: What a hostile host would try: markup, an attribute's end, a terminal's and a script's.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\x1b[2J\u202e"


class Answer(NamedTuple):
    """An answer of the page; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: dict[str, str]

    @property
    def text(self):
        """The body."""
        return self.body.decode()


class Website:
    """The page below ``url``, as ``curl`` would see it."""

    def __init__(self, process, url):
        self.process = process
        self.url = url
        self._parts = urlsplit(url)
        self.base = self._parts.path.rstrip("/")

    def ask(self, path, method="GET", body=None, **headers):
        """Follows no redirection; ``Last_Event_ID`` is the header Last-Event-ID."""
        with contextlib.closing(self.connect()) as connection:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, f"{self.base}{path}", body, sent)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            set_here = [
                one.partition(";")[0].partition("=") for one in answer.headers.get_all("Set-Cookie", [])
            ]
            cookies = {name: value for name, _, value in set_here}
            return Answer(answer.status, told, answer.read(), cookies)

    def connect(self):
        """A connection that gives up some time."""
        return http.client.HTTPConnection(self._parts.hostname, self._parts.port, timeout=PATIENCE_S)


@contextlib.contextmanager
def website(state_dir, *flags):
    """A page that runs until the end of the block."""
    argv = [sys.executable, "-m", "panicast_receiver", "web", "--state-dir", str(state_dir)]
    process = subprocess.Popen([*argv, "--web-listen", "127.0.0.1:0", *flags], stderr=subprocess.PIPE)
    try:
        said, deadline = b"", time.monotonic() + PATIENCE_S
        while not (match := re.search(rb"web page: (\S+)\n", said)):
            assert select.select([process.stderr], [], [], deadline - time.monotonic())[0], said
            data = os.read(process.stderr.fileno(), 4096)
            assert data, said
            said += data
        yield Website(process, match[1].decode())
    finally:
        process.kill()
        process.communicate()


def fill(state_dir):
    """A fleet with crashes of three kinds, one of them with a gap, and a hostile host."""
    now = int(time.time()) - 1_700_000_000
    whole = record("panic", "db-03.example.net", 3, 2, now - 50, OOPS)
    run = whole.runs[0]
    gapped = [run._replace(data=run.data[:40]), run._replace(offset=80, data=run.data[80:])]
    store = Store(state_dir)
    store.write(
        [
            record("hello", "web-01", 1, 1, now - 100),
            record("hello", "web-02", 2, 1, now - 5000),
            record("panic", "db-03.example.net", 3, 1, now - 90000, SYSRQ),
            whole.__class__(**{**vars(whole), "runs": tuple(gapped)}),
            record("panic", "db-04.example.net", 4, 1, now - 70000, SYSRQ),
            record("oops", "arm-05", 5, 1, now - 40, ARM.rsplit("<0>", 1)[0]),
            record("test", "web-01", 1, 2, now - 30, "<6>[    0.000000] drill\n", reason="drill"),
            record("panic", HOSTILE, 6, 1, now - 20, f"<0>[ 1.0] Kernel panic - not syncing: {HOSTILE}\n"),
        ]
    )
    store.close()
    explain(state_dir)
