# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest agent's protocol: framing, and a conversation with an agent that comes up late."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_build.smoke import agent
from panicast_build.smoke.failure import SmokeFailure

from ....waiting import PATIENCE_S


@given(st.lists(st.dictionaries(st.text(max_size=8), st.integers())), st.lists(st.integers(1, 40)))
def test_replies_survive_any_cutting(replies: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(json.dumps(reply).encode() + b"\n" for reply in replies)
    framer, got = agent.Framer(), []
    for size in [*cuts, len(stream)]:
        got += framer.feed(stream[:size])
        stream = stream[size:]
    assert got == replies


@given(st.binary(max_size=50))
def test_what_precedes_the_delimiter_is_dropped(noise: bytes) -> None:
    framer = agent.Framer()
    framer.feed(b'{"return": ')
    assert framer.feed(noise.replace(b"\n", b"") + agent.DELIMITER + b'{"return": 7}\n') == [{"return": 7}]


def test_arguments_stay_words() -> None:
    arguments = agent.exec_arguments(["tee", "a b; rm -rf /"], stdin="c\n")
    assert (arguments["path"], arguments["arg"]) == ("tee", ["a b; rm -rf /"])
    assert base64.b64decode(arguments["input-data"]) == b"c\n"
    assert "input-data" not in agent.exec_arguments(["true"])


def test_output_is_decoded() -> None:
    status = {"exited": True, "exitcode": 3, "out-data": base64.b64encode(b"caf\xc3\xa9\xff").decode()}
    assert agent.output(status) == agent.Output(3, "café\ufffd", "")
    assert agent.output({"exited": True, "signal": 9}).code == 137


class FakeGuest(threading.Thread):
    """An agent that answers what it can read, after a reset has cut its last reply in two."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def run(self) -> None:
        port, _ = self._listener.accept()
        with port, port.makefile("rb") as lines, suppress(BrokenPipeError, ConnectionResetError):
            port.sendall(b'{"return": {"pid": 4')
            for line in lines:
                port.sendall(self.answer(line))

    @staticmethod
    def answer(line: bytes) -> bytes:
        request = json.loads(line.lstrip(agent.DELIMITER))
        match request["execute"]:
            case "guest-sync-delimited":
                return agent.DELIMITER + json.dumps({"return": request["arguments"]["id"]}).encode() + b"\n"
            case "guest-exec":
                return b'{"return": {"pid": 1}}\n'
            case "guest-exec-status":
                return b'{"return": {"exited": true, "exitcode": 0, "out-data": "b2s="}}\n'
            case unknown:
                return json.dumps({"error": {"desc": f"{unknown} is unknown"}}).encode() + b"\n"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[agent.Agent]:
    FakeGuest(tmp_path / "port").start()
    client = agent.Agent(tmp_path / "port", lambda: None)
    yield client
    client.close()


def test_a_conversation_begins_anew_after_a_reset(client: agent.Agent) -> None:
    assert client.sync()
    assert client.finish(client.start(["true"]), seconds=PATIENCE_S).out == "ok"


def test_a_refusal_is_a_failure_with_its_reason(client: agent.Agent) -> None:
    assert client.sync()
    with pytest.raises(SmokeFailure, match="guest-frobnicate is unknown"):
        client.call("guest-frobnicate")


def test_a_guest_that_is_gone_ends_the_wait(tmp_path: Path) -> None:
    FakeGuest(tmp_path / "port").start()

    def gone() -> None:
        raise SmokeFailure("QEMU ended")

    with pytest.raises(SmokeFailure, match="QEMU ended"):
        agent.Agent(tmp_path / "port", gone).sync()


def test_a_qemu_that_crashes_is_said(tmp_path: Path) -> None:
    """It leaves what it was asked unread, and so its end resets the connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "port"))
        listener.listen()
        client = agent.Agent(tmp_path / "port", lambda: None)
        client.post(["true"])
        listener.accept()[0].close()
        for ask in (client._receive, lambda: client.finish(1, PATIENCE_S)):
            with pytest.raises(SmokeFailure, match="QEMU has hung up"):
                ask()
        client.close()


def test_a_port_that_is_full_is_silent_as_long_as_a_slow_guest_boots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "SYNC_SECONDS", 0.0)
    monkeypatch.setattr(agent, "RECEIVE_SECONDS", 0.001)
    with socket.socket(socket.AF_UNIX) as nobody_reads:
        nobody_reads.bind(str(tmp_path / "port"))
        nobody_reads.listen()
        client = agent.Agent(tmp_path / "port", lambda: None)
        assert not any(client.sync() for _ in range(1000))
        with pytest.raises(agent.Silent, match="did not take guest-ping"):
            client.call("guest-ping")
        with pytest.raises(agent.Silent, match="did not take a command"):
            client.post(["true"])
        client.close()
