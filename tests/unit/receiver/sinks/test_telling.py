# SPDX-License-Identifier: GPL-2.0-or-later
"""What others are told: to whom, whether they have it, and that a hostile host cannot change it."""

import asyncio
import contextlib
import re
import socket
import sqlite3
import ssl
import subprocess
import threading

import nats.errors
import pytest
from aiohttp.test_utils import TestClient, TestServer

from panicast_receiver.central import merging
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.store import Store
from panicast_receiver.meaning import understand
from panicast_receiver.settings.syslog import SyslogServer, parse_syslog
from panicast_receiver.sinks import Notice, webhook
from panicast_receiver.sinks.jetstream import JetStream
from panicast_receiver.sinks.syslog import Syslog, message
from panicast_receiver.web.access import Access
from panicast_receiver.web.database import Database
from panicast_receiver.web.fair import VISITOR
from panicast_receiver.web.live import MOST_STREAMS, Feed
from panicast_receiver.web.server import application
from panicast_receiver.web.site import Site
from panicast_receiver.web.tokens import Tokens
from panicast_receiver.web.visitors import Visitors

from ..conftest import PATIENCE_S, explain
from ..db.test_fleet import record
from ..meaning.test_crash import OOPS, SYSRQ
from ..web.website import HOSTILE
from .test_stores import DOCUMENT

TOLD = Notice({**DOCUMENT, "title": "t", "received": "2026-11-26T20:00:00.000000000Z"}, "a line")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of localhost that nobody but itself vouches for, and its key: one file."""
    folder = tmp_path_factory.mktemp("tls")
    asked = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key -out cert"
    subprocess.run(
        ["openssl", *asked.split(), "-addext", "subjectAltName=DNS:localhost"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    path = folder / "both"
    path.write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return path


@pytest.fixture
def log_host(certificate):
    """A syslog server with that certificate, on loopback: its port, and what it was told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    got = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError), server.accept()[0] as plain:
                plain.settimeout(PATIENCE_S)
                with context.wrap_socket(plain, server_side=True) as sealed:
                    while data := sealed.recv(4096):
                        got.append(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], got
        thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    ("trusted", "host", "works"),
    [(False, "localhost", False), (True, "127.0.0.1", False), (True, "localhost", True)],
)
def test_syslog_tells_no_server_that_is_not_who_it_says(
    log_host, certificate, monkeypatch, trusted, host, works
):
    port, got = log_host
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    sink = Syslog(SyslogServer("tls", host, port))
    if works:
        sink.deliver([TOLD])
        assert message(TOLD) in b"".join(got)
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            sink.deliver([TOLD])
        assert got == []


@pytest.mark.parametrize(("trusted", "host"), [(False, "localhost"), (True, "127.0.0.1")])
def test_no_web_server_is_told_that_is_not_who_it_says(log_host, certificate, monkeypatch, trusted, host):
    """A webhook, Loki, S3 and the alerts' services are asked by the same code."""
    port, got = log_host
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        webhook.send("POST", f"https://{host}:{port}/", b"{}", {})
    assert got == []


def test_no_value_ends_syslogs_structured_data():
    text = message(TOLD._replace(record={**TOLD.record, "release": 'a"]b\\c', "boot_id": "]"})).decode()
    assert r'release="a\"\]b\\c"' in text and r'boot_id="\]"' in text
    # As RFC 5424 reads it: values, then the one bracket that ends them.
    parsed = re.fullmatch(r'[^\[]*\[panicast@32473((?: \w+="(?:[^"\\\]]|\\.)*")*)\] a line', text)
    assert parsed and parsed[1].count("=") == 4


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("udp:h:1", ("udp", "h", 1)),
        ("tls:[::1]:6514", ("tls", "::1", 6514)),
        ("tcp:log.example.org:601", ("tcp", "log.example.org", 601)),
    ],
)
def test_a_target_is_its_three_parts(text, target):
    assert parse_syslog(text) == target


class Stream:
    """A stream that acknowledges all but those with this id."""

    max_payload = 1 << 20

    def __init__(self, refused=""):
        self.refused, self.acknowledged = refused, []

    @contextlib.asynccontextmanager
    async def connected(self):
        yield self

    def jetstream(self):
        return self

    async def publish(self, to, data, timeout, headers):
        if self.refused and self.refused in data.decode():
            raise nats.errors.TimeoutError
        self.acknowledged.append(to)


def test_what_a_stream_did_not_acknowledge_is_not_delivered():
    batch = [Notice({**DOCUMENT, "id": name}, "") for name in ("first", "middle", "last")]
    good = Stream()
    JetStream(good).deliver(batch)
    assert good.acknowledged == ["panicast.records.panic"] * 3
    for name in ("first", "middle", "last"):
        with pytest.raises(OSError, match="NATS"):
            JetStream(Stream(name)).deliver(batch)


def merged(*sightings):
    """What the central table has after each was merged, by the statement for PostgreSQL: its row values
    and its ON CONFLICT are SQLite's too."""
    statement = merging.MERGE.replace("panicast.", "").replace("DISTINCT ON (identity) ", "")
    statement = statement.replace("least(", "min(").replace("now()", "'now'")
    names = ", ".join(merging.COLUMNS)
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE staging ({names})")
        db.execute(f"CREATE TABLE records ({names}, stored, PRIMARY KEY (identity))")
        for sealed, complete, known, text, *waits in sightings:
            meaning = waits[0] if waits else "found"
            row = dict.fromkeys(merging.COLUMNS, "")
            row.update(
                identity="i", sealed=sealed, complete=complete, known=known, text=text, meaning=meaning
            )
            db.execute("DELETE FROM staging")
            marks = ", ".join("?" * len(row))
            db.execute(f"INSERT INTO staging ({', '.join(row)}) VALUES ({marks})", list(row.values()))
            db.execute(statement)
        return [text for (text,) in db.execute("SELECT text FROM records")]


SEALED_CUT, FORGED_WHOLE = (1, 0, 10, "sealed"), (0, 1, 99, "forged")
WHOLE, CUT, LESS = (0, 1, 50, "whole"), (0, 0, 60, "cut"), (0, 0, 20, "less")


#: Told before anybody had looked what it means.
EARLY = (0, 1, 50, "early", "pending")


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (SEALED_CUT, FORGED_WHOLE),
        (WHOLE, CUT),
        (CUT, LESS),
        (SEALED_CUT, WHOLE),
        (WHOLE, EARLY),
        (EARLY, CUT),
    ],
)
def test_in_the_central_store_the_better_sighting_stays_whichever_came_first(better, worse):
    assert merged(better, worse) == merged(worse, better) == [better[3]]


@pytest.mark.parametrize(
    ("better", "worse"), [(SEALED_CUT, FORGED_WHOLE), (WHOLE, CUT), (CUT, LESS), (SEALED_CUT, WHOLE)]
)
def test_of_two_sightings_in_a_batch_the_better_one_comes_first(better, worse):
    """Of each identity PostgreSQL's DISTINCT ON takes the first row, in the order that is asked for."""
    begin, end = merging.MERGE.index("SELECT"), merging.MERGE.index("ON CONFLICT")
    select = merging.MERGE[begin:end].replace("DISTINCT ON (identity) ", "")
    for sightings in ((better, worse), (worse, better)):
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.row_factory = sqlite3.Row
            db.execute(f"CREATE TABLE staging ({', '.join(merging.COLUMNS)})")
            columns = ("identity", "sealed", "complete", "known", "text")
            for values in sightings:
                db.execute(f"INSERT INTO staging ({', '.join(columns)}) VALUES ('i', ?, ?, ?, ?)", values)
            assert db.execute(select).fetchone()["text"] == better[3]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("log.example.org", True),
        ("LOG.example.org:8080", True),
        ("localhost:1", True),
        ("127.0.0.1", True),
        ("[::1]:80", True),
        ("evil-log.example.org", False),
        ("log.example.org.evil.net", False),
        ("xlocalhost", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_the_page_answers_to_whole_names_alone(name, good):
    assert Access(Tokens(None, None), frozenset({"log.example.org"})).may_be_called(name) == good


def asked(folder, feed, *paths):
    """The page's answers, in this process."""

    async def ask():
        database = Database(folder)
        site = Site("", folder, Ages(900), Access(Tokens(None, None)), database, feed)
        found = []
        async with TestClient(TestServer(application(site, Visitors()))) as client:
            for path in paths:
                async with client.get(path) as answer:
                    stream = answer.content_type == "text/event-stream"
                    body = await (answer.content.readuntil(b"\n\n") if stream else answer.read())
                    found.append((answer.status, answer.headers, body))
            feed.stop()
        database.close()
        return found

    return asyncio.run(ask())


@pytest.fixture
def hostile(tmp_path):
    """A folder with a record whose host sends markup wherever it can."""
    with contextlib.closing(Store(tmp_path)) as store:
        (stored,) = store.write([record("panic", HOSTILE, 1, 1, 0, SYSRQ + HOSTILE, release=HOSTILE)])
    explain(tmp_path)
    return tmp_path, stored.record.id


def test_streams_have_a_bound(hostile):
    for streams, status in ((MOST_STREAMS, 503), (MOST_STREAMS - 1, 200)):
        feed = Feed(hostile[0])

        async def fill(feed=feed, streams=streams):
            # The same visitor has the others: another one would get one of them.
            VISITOR.set("127.0.0.1")
            return all([feed.join() for _ in range(streams)])

        assert asyncio.run(fill())
        ((found, headers, _),) = asked(hostile[0], feed, "/api/v1/events")
        assert found == status and ("Retry-After" in headers) == (status == 503)


def test_no_browser_takes_what_a_host_sends_for_a_page(hostile):
    folder, number = hostile
    (status, headers, body), page, entry = asked(
        *(folder, Feed(folder), f"/api/v1/records/{number}/text", "/", f"/records/{number}")
    )
    assert status == 200 and b"<script>alert(1)</script>" in body
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    for status, headers, body in (page, entry):
        assert status == 200 and headers["Content-Type"].startswith("text/html")
        assert b"&lt;script&gt;alert(1)" in body and b"<script>alert(1)" not in body
        assert "script-src 'self'" in headers["Content-Security-Policy"]


def another(text):
    """The same crash at another time, on another CPU, in another task, at other addresses."""
    text = re.sub(r"\[ +(\d+)\.(\d+)\]", lambda found: f"[ {int(found[1]) + 1000}.{found[2]}]", text)
    text = text.replace("PID: 455", "PID: 90210").replace("T455", "T90210").replace("CPU: 2", "CPU: 31")
    text = text.replace("kworker/2:1", "kworker/31:7")
    return text.replace("address: 0000000000000010", "address: ffff888123456780").replace("#1", "#2")


@pytest.mark.parametrize("text", [OOPS, SYSRQ])
def test_a_signature_is_the_faults_and_not_the_crashs(text):
    assert another(text) != text
    first, second = understand(text), understand(another(text))
    assert first.signature == second.signature and first.signature
    assert understand(text.replace("mlx_poll", "other_poll").replace("sysrq t", "oom t")).signature not in (
        "",
        first.signature,
    )


def warned(seconds):
    """A warning, and so many seconds later a fault that ends in a panic."""
    warning, fault = OOPS.split("<1>", 1)
    return warning.replace("    3.000000", f"{92.1 - seconds:12.6f}") + "<1>" + fault


@pytest.mark.parametrize(
    ("seconds", "function"), [(89, "mlx_poll"), (61, "mlx_poll"), (59, "dev_warns"), (1, "dev_warns")]
)
def test_a_warning_long_before_the_crash_is_not_the_crash(seconds, function):
    assert understand(warned(seconds)).at == function


@pytest.mark.parametrize(("lines", "function"), [(2100, "mlx_poll"), (1800, "dev_warns"), (0, "dev_warns")])
def test_without_times_lines_say_how_long_ago_a_warning_was(lines, function):
    warning, fault = re.sub(r"\[ +\d+\.\d+\] ", "", OOPS).split("<1>", 1)
    between = "<6>usb 1-1: new device\n" * lines
    assert understand(f"{warning}{between}<1>{fault}").at == function


def test_numbers_and_addresses_make_no_other_crash():
    said = "Kernel panic - not syncing: slab 17 at {0} of cpu {1} is broken"
    first, second = (
        understand(said.format(address, cpu)) for address, cpu in (("0xffff888012345678", 3), ("0x10", 250))
    )
    assert first.signature == second.signature != "" and first.title == second.title
    assert understand(said.format("0x10", 3).replace("broken", "gone")).signature != first.signature
