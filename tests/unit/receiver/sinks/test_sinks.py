# SPDX-License-Identifier: GPL-2.0-or-later
"""Sinks against servers of the test's own: what they are told, failures, cursors over restarts."""

import contextlib
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from panicast_receiver import sinks
from panicast_receiver.db import changes
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import UNDELIVERED_NS, Retention
from panicast_receiver.db.store import Store
from panicast_receiver.errors import UsageError
from panicast_receiver.settings import load
from panicast_receiver.settings.syslog import SyslogServer
from panicast_receiver.sinks import Away, Notice, Refused, cursors, feeder, syslog, webhook
from panicast_receiver.sinks.cursors import begin, feed_only, move, rewind
from panicast_receiver.sinks.feeder import LONGEST_WISH_S, Feeder
from panicast_receiver.sinks.hook import Hook
from panicast_receiver.sinks.journal import Journal
from panicast_receiver.sinks.syslog import Syslog, message
from panicast_receiver.sinks.telling import notice_of as tell
from panicast_receiver.sinks.webhook import Webhook

from ..conftest import PATIENCE_S, explain, held_port, wait_until
from ..db.test_fleet import record
from ..meaning.test_crash import SYSRQ


@pytest.fixture
def store(tmp_path):
    """A store in a folder of its own."""
    with closing(Store(tmp_path)) as opened:
        yield opened


def write(store, *records):
    """Store and explain."""
    store.write(records)
    explain(store.path.parent)


@pytest.fixture
def told(store, tmp_path):
    """What a sink is told of a panic whose host has an unpleasant name."""
    write(store, record("panic", 'a<b>"]\n\x1b', 1, 1, 0, SYSRQ))
    with closing(Reader(tmp_path)) as reader:
        (entry,) = reader.select(Query())
        return tell(reader, entry)


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


def test_a_log_server_that_does_not_stop_talking_is_left(told, monkeypatch):
    monkeypatch.setattr(syslog, "_TIMEOUT_S", 0.5)
    with endless(b"x", 0.02) as port, pytest.raises(OSError):
        Syslog(SyslogServer("tcp", "127.0.0.1", port)).deliver([told])


@contextlib.contextmanager
def endless(words, pause_s):
    """A server that says this again and again to whoever comes, whatever that one says."""
    stop = threading.Event()

    def say(connection):
        with connection, contextlib.suppress(OSError):
            while not stop.wait(pause_s):
                connection.sendall(words)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    say(server.accept()[0])

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_journal(told, tmp_path):
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        Journal(path).deliver([told])
        data, fields = journal.recv(65536), {}
    while data:
        name, _, data = data.partition(b"\n")
        size = int.from_bytes(data[:8], "little")
        fields[name.decode()] = data[8 : 8 + size].decode()
        data = data[8 + size :]
        assert data[:1] == b"\n"
        data = data[1:]
    assert fields["PRIORITY"] == "2" and fields["MESSAGE"].startswith("panic of a<b>")
    assert fields["PANICAST_SIGNATURE"] == told.record["signature"]


def test_syslog_messages(told):
    text = message(told).decode()
    assert text.startswith('<130>1 2023-11-14T22:13:20.000000Z a<b>"]__ panicast - panic [panicast@32473 id=')
    assert "\n" not in text and "\x1b" not in text
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        Syslog(SyslogServer("udp", "127.0.0.1", server.getsockname()[1])).deliver([told])
        assert server.recv(65536).decode() == text
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = SyslogServer("tcp", "127.0.0.1", server.getsockname()[1])
        got = []

        def serve():
            with server.accept()[0] as client:
                while data := client.recv(4096):
                    got.append(data)

        thread = threading.Thread(target=serve)
        thread.start()
        Syslog(target).deliver([told])
        thread.join(PATIENCE_S)
    assert b"".join(got).decode() == f"{len(text.encode())} {text}"
    with held_port() as port, pytest.raises(OSError):
        Syslog(target._replace(port=port)).deliver([told])


@pytest.mark.parametrize(
    "flags", [{"syslog": "udp:h"}, {"syslog": "sctp:h:1"}, {"webhook": "file:///etc/passwd"}, {"hook": "x"}]
)
def test_wrong_settings(tmp_path, flags):
    config = tmp_path / "c.toml"
    config.write_text("".join(f'{key} = "{value}"\n' for key, value in flags.items()))
    with pytest.raises(UsageError):
        load({}, str(config))


class Recorder:
    """A sink that fails as often as it is told to."""

    name = "recorder"
    most = 2

    def __init__(self, failures=0, what=lambda told: (told.record["event"], told.record["complete"])):
        self.failures, self.what = failures, what
        self.got = []

    def deliver(self, batch: Sequence[Notice]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("not now")
        self.got += [self.what(told) for told in batch]


def feed(sink, folder, wanted):
    """Run a feeder until it has delivered so many records."""
    feeder = Feeder(sink, folder)
    feeder.start()
    wait_until(lambda: feeder.counts["delivered"] >= wanted)
    feeder.stop()
    feeder.join(PATIENCE_S)
    return feeder.counts


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Do not wait long, but for a meaning: what comes late is told twice."""
    for module in ("follower", "meanings"):
        monkeypatch.setattr(f"panicast_receiver.db.{module}.PATIENCE_S", 3600.0)
    for name in ("LOOK_S", "RETRY_S", "LONGEST_S"):
        monkeypatch.setattr(f"panicast_receiver.sinks.feeder.{name}", 0.02)


def test_records_are_told_once_in_order_over_failures_and_restarts(store, tmp_path):
    write(store, record("panic", "a", 1, 1, 0, SYSRQ))
    first = Recorder()
    # A new sink begins with what comes from now on.
    feeder = Feeder(first, tmp_path)
    feeder.start()
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (2, 3)), record("hello", "a", 1, 9, 9))
    wait_until(lambda: len(first.got) >= 2)
    feeder.stop()
    feeder.join(PATIENCE_S)
    assert first.got == [(2, True), (3, True)]
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (4, 5, 6)))
    second = Recorder(failures=3)
    counts = feed(second, tmp_path, 3)
    assert second.got == [(4, True), (5, True), (6, True)] and counts["failed"] == 3
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 5).received_ns) == 2
    third = Recorder()
    feed(third, tmp_path, 2)
    assert third.got == [(5, True), (6, True)]


def test_while_the_disk_is_full_what_is_stored_is_told_once_and_soon_noted_afterwards(
    store, tmp_path, monkeypatch
):
    full = [True]

    def moved(*step):
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return move(*step)

    monkeypatch.setattr(cursors, "move", moved)
    monkeypatch.setattr(feeder, "LONGEST_S", 1e6)
    sink = Recorder()
    thread = Feeder(sink, tmp_path)
    thread.start()
    for number in (1, 2, 3):
        write(store, record("panic", "a", 1, number, number, SYSRQ))
        wait_until(lambda number=number: len(sink.got) >= number)
    # With pauses that grow, the tenth try were nobody's to see.
    wait_until(lambda: thread.counts["failed"] > 10)
    assert thread.counts["failing"] and begin(store._db, sink.name) < changes.newest(store._db)
    full[0] = False
    wait_until(lambda: not thread.counts["failing"])
    thread.stop()
    thread.join(PATIENCE_S)
    assert [number for number, _ in sink.got] == [1, 2, 3]
    assert begin(store._db, sink.name) == changes.newest(store._db)


def test_resend_names_the_sinks_that_there_are(store, tmp_path, cli):
    write(store, record("panic", "a", 1, 1, 0, SYSRQ))
    for name in ("recorder", "webhook"):
        begin(store._db, name)
    done = cli("resend", "--sink", "nope", "--since", "1h", state_dir=tmp_path)
    assert done.returncode == 1 and "no sink 'nope'" in done.stderr
    assert done.stderr.rstrip().endswith("known sinks: recorder, webhook")


def test_the_service_tells_its_sinks(serve, big):
    with closing(Server(503)) as server:
        receiver = serve("--webhook", server.url)
        receiver.wait_for("records go to: webhook")
        receiver.send(big["frames"])
        receiver.wait_for("webhook: .*503.*; trying again")
        receiver.wait_for("webhook: works again")
        assert receiver.stop() == 0
    # Once more where its meaning came late.
    assert {got["reason"] for got in server.posted} == {"sysrq triggered crash"}
    assert any(re.search("webhook delivered [12]", line) for line in receiver.log)


class Fussy:
    """A sink that fails with one record whenever it comes, like a server that answers 500 to it."""

    name = "fussy"
    most = 1

    def __init__(self, error):
        self.error, self.got = error, []

    def deliver(self, batch):
        for told in batch:
            if told.record["event"] == 2 and self.error:
                raise self.error
            self.got.append(told.record["event"])


@pytest.mark.parametrize("error", [OSError("500"), Refused("no")])
def test_a_record_that_it_cannot_take_is_set_aside_shown_and_sent_again(error, store, tmp_path, cli):
    fussy = Fussy(error)
    feed(fussy, tmp_path, 0)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2, 3, 4)))
    counts = feed(fussy, tmp_path, 3)
    assert fussy.got == [1, 3, 4] and counts["refused"] == 1
    (sink,) = json.loads(cli("sinks", "--json", state_dir=tmp_path).stdout)
    assert [one["reason"] for one in sink["aside"]] == [str(error)]
    assert (sink["waiting"], sink["state"]) == (0, "works")
    shown = cli("sinks", state_dir=tmp_path).stdout
    assert sink["aside"][0]["id"] in shown and str(error) in shown
    assert cli("resend", "--sink", "fussy", "--aside", state_dir=tmp_path).returncode == 0
    fussy.error = None
    feed(fussy, tmp_path, 1)
    assert fussy.got == [1, 3, 4, 2]
    (sink,) = json.loads(cli("sinks", "--json", state_dir=tmp_path).stdout)
    assert sink["aside"] == []


class Poisoned(Fussy):
    """The same with several."""

    def __init__(self, events):
        super().__init__(OSError("500"))
        self.events, self.asked = events, 0

    def deliver(self, batch):
        self.asked += 1
        for told in batch:
            if told.record["event"] in self.events:
                raise self.error
            self.got.append(told.record["event"])


@pytest.mark.parametrize("bad", [2, 3, 60])
def test_records_that_it_cannot_take_stop_nobody_however_many_come_in_a_row(bad, store, tmp_path):
    events = range(2, 2 + bad)
    sink = Poisoned(events)
    feed(sink, tmp_path, 0)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in range(1, bad + 4)))
    counts = feed(sink, tmp_path, 3)
    assert sorted(sink.got) == [1, bad + 2, bad + 3] and counts["refused"] == bad
    # Not each is tried again and again.
    assert sink.asked <= 2 * bad + 12


def test_a_row_that_cannot_be_read_is_set_aside(store, tmp_path, monkeypatch):
    sink = Fussy(None)
    feed(sink, tmp_path, 0)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2, 3)))
    real = Reader.load

    def load(reader, entry):
        if entry.summary["event"] == 2:
            raise ValueError("torn")
        return real(reader, entry)

    monkeypatch.setattr(Reader, "load", load)
    counts = feed(sink, tmp_path, 2)
    assert sink.got == [1, 3] and counts["refused"] == 1


def test_what_is_stored_after_the_newest_was_deleted_is_told(store, tmp_path):
    sink = Recorder()
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2)))
    feed(sink, tmp_path, 0)
    with closing(Reader(tmp_path)) as reader:
        store.delete([entry.identity for entry in reader.select(Query())])
    write(store, record("panic", "a", 1, 3, 3, SYSRQ))
    feed(sink, tmp_path, 1)
    assert sink.got == [(3, True)]


def test_what_nobody_has_understood_is_told_without_and_again_with_its_meaning(store, tmp_path, monkeypatch):
    for module in ("follower", "meanings"):
        monkeypatch.setattr(f"panicast_receiver.db.{module}.PATIENCE_S", 0.0)
    sink = Recorder(what=lambda told: told.record["meaning"])
    feed(sink, tmp_path, 0)
    store.write([record("panic", "a", 1, 1, 1, SYSRQ)])
    feed(sink, tmp_path, 1)
    explain(tmp_path)
    feed(sink, tmp_path, 1)
    assert sink.got == ["pending", "found"]


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


def test_a_test_pages_nobody(store, tmp_path):
    write(store, record("test", "a", 1, 1, 0, "x"), record("oops", "a", 1, 2, 0, SYSRQ))
    with closing(Reader(tmp_path)) as reader, closing(Server()) as server:
        for entry in reader.select(Query()):
            Webhook(server.url, "alertmanager").deliver([tell(reader, entry)])
    assert [got[0]["labels"]["severity"] for got in server.posted] == ["info", "warning"]


def test_what_is_told_has_bounds(store, tmp_path):
    text = "<0>[    1.0] Kernel panic - not syncing: " + "A" * 140_000 + "\n"
    long = record("panic", "h" * 1000, 1, 1, 0, text)
    write(store, long)
    with closing(Reader(tmp_path)) as reader:
        (entry,) = reader.select(Query())
        told = tell(reader, entry)
    assert len(told.line) < 1200 and len(told.record["title"].encode()) <= 512
    assert len(told.record["host"]) <= 255 and told.record["text"] == text
    assert len(message(told)) < 3000
    Hook("/bin/true").deliver([told])


def test_retention_waits_for_sinks_that_are_fed_for_a_week(store, tmp_path):
    Feeder(Recorder(), tmp_path)
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2, 3)))
    few = Retention(days=1, per_host=1)

    def left(now_ns):
        while store.expire(few, now_ns):
            pass
        with closing(Reader(tmp_path)) as reader:
            return len(reader.select(Query()))

    feed_only(tmp_path, ["recorder"])
    assert left(time.time_ns()) == 3
    feed(Recorder(), tmp_path, 3)
    write(store, record("panic", "b", 2, 1, 9, SYSRQ))
    assert left(time.time_ns()) == 1
    assert left(time.time_ns() + UNDELIVERED_NS) == 0


def test_what_waits_for_its_turn_is_kept_no_longer_and_what_no_sink_was_told_of_is_counted(store, tmp_path):
    """A sink that is away for a month lets the store grow no more than the settings say."""
    store.at_once = lambda _: False
    begin(store._db, "recorder")
    feed_only(tmp_path, ["recorder"])
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in range(1, 6)), record("hello", "a", 1, 9, 9))
    few = Retention(days=1, per_host=1)
    assert store.expire(few, time.time_ns()) == 1 and store.undelivered == 0, "hello alone is old and told"
    assert store.expire(few, time.time_ns() + UNDELIVERED_NS, step_s=60) == 5 and store.undelivered == 5
    write(store, *(record("panic", "b", 2, n, n, "x" * 100) for n in range(1, 200)))
    while store.expire(Retention(size=150_000), time.time_ns()):
        pass
    with closing(Reader(tmp_path)) as reader:
        assert store.undelivered == 5 + 199 - len(reader.select(Query())) > 5


def test_retention_does_not_wait_for_a_sink_that_is_no_more(store, tmp_path):
    Feeder(Recorder(), tmp_path)
    write(store, record("panic", "a", 1, 1, 1, SYSRQ))
    feed_only(tmp_path, ["another"])
    assert store.expire(Retention(days=1), time.time_ns())
    with closing(Reader(tmp_path)) as reader:
        assert reader.select(Query()) == []


def test_each_sink_can_be_chosen():
    """A sink that no setting leads to delivers nothing."""
    folder = Path(sinks.__file__).parent
    a_sink = re.compile(r"^class (\w+)\b(?:(?!^class ).)*^    def deliver\(", re.MULTILINE | re.DOTALL)
    found = [name for path in folder.glob("[!_]*.py") for name in a_sink.findall(path.read_text())]
    chosen = (folder / "choice.py").read_text()
    assert len(found) >= 6 and [name for name in found if f"sinks.append({name}(" not in chosen] == []


def test_what_is_deleted_is_not_aside_any_more(store, tmp_path):
    one = record("panic", "a", 1, 1, 1, SYSRQ)
    write(store, one)
    cursor = begin(store._db, "fussy")
    move(store._db, "fussy", cursor, cursor, [], [(one.identity, "no")])
    assert store._db.execute("SELECT count(*) FROM aside").fetchone()[0] == 1
    assert store.expire(Retention(days=1), time.time_ns())
    assert store._db.execute("SELECT count(*) FROM aside").fetchone()[0] == 0


def test_no_server_keeps_a_sink_away_for_longer_than_an_hour(store, tmp_path):
    pauses = []

    class Stopping:
        def wait(self, pause_s):
            pauses.append(pause_s)
            return len(pauses) > 1

    feeder = Feeder(Fussy(Away("in a year", 365 * 86400.0)), tmp_path)
    write(store, record("panic", "a", 1, 2, 1, SYSRQ))
    feeder._stopping = Stopping()
    feeder.run()
    assert pauses[1] == LONGEST_WISH_S == 3600


def test_what_is_too_long_for_the_journal_is_refused(told, tmp_path):
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        with pytest.raises(Refused, match="too long"):
            Journal(path).deliver([told._replace(line="x" * (64 << 20))])


def test_who_is_sent_something_again_is_not_moved_on_by_what_was_on_its_way(store, tmp_path):
    write(store, *(record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2)))
    cursor = begin(store._db, "recorder")
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 2).received_ns) == 1
    again = begin(store._db, "recorder")
    assert again < cursor
    assert not move(store._db, "recorder", cursor, cursor + 1, [], [])
    assert begin(store._db, "recorder") == again
    # Nor is who has less yet.
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 1).received_ns) == 2
    least = begin(store._db, "recorder")
    assert rewind(tmp_path, "recorder", record("panic", "a", 1, 1, 2).received_ns) == 1
    assert begin(store._db, "recorder") == least < again


def test_a_login_in_the_webhooks_address_is_not_told(told, monkeypatch):
    def broken(*_, **__):
        raise HTTPException

    monkeypatch.setattr(webhook._OPENER, "open", broken)
    with pytest.raises(OSError, match=r"^https://alerts:9093: HTTPException$"):
        Webhook("https://me:hunter2@alerts:9093/", "record").deliver([told])
