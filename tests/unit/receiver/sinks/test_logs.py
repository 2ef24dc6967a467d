# SPDX-License-Identifier: GPL-2.0-or-later
"""Syslog and the journal against servers of the test's own."""

import contextlib
import socket
import threading

import pytest

from panicast_receiver.settings.syslog import SyslogServer
from panicast_receiver.sinks import Refused, syslog
from panicast_receiver.sinks.journal import Journal
from panicast_receiver.sinks.syslog import Syslog, message

from ..conftest import PATIENCE_S, held_port


def test_a_log_server_that_does_not_stop_talking_is_left(told, monkeypatch):
    monkeypatch.setattr(syslog, "_TIMEOUT_S", 0.5)
    with endless(b"x", 0.02) as port, pytest.raises(OSError):
        Syslog(SyslogServer("tcp", "127.0.0.1", port)).deliver([told])


def test_a_log_server_that_says_nothing_is_left(told, monkeypatch):
    """It has taken the connection, and neither reads nor closes it."""
    monkeypatch.setattr(syslog, "_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = Syslog(SyslogServer("tcp", "127.0.0.1", server.getsockname()[1]))
        found = []

        def deliver():
            try:
                sink.deliver([told])
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=deliver, daemon=True)
        thread.start()
        thread.join(PATIENCE_S / 4)
        assert [type(error) for error in found] == [TimeoutError]


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


def test_what_is_too_long_for_the_journal_is_refused(told, tmp_path):
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        with pytest.raises(Refused, match="too long"):
            Journal(path).deliver([told._replace(line="x" * (64 << 20))])
