# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the QEMU guest agent: runs argv lists inside a guest, over a virtio serial port.

One JSON object a line in each direction. The agent dies with its guest, and what it was told before it was
started waits for it in the port: so every conversation begins with guest-sync-delimited, whose reply
follows a byte 0xFF that no JSON has; whatever came before that byte was meant for somebody else.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panicast_build.smoke.failure import SmokeFailure

DELIMITER = b"\xff"
RECEIVE_SECONDS = 0.5
SYNC_SECONDS = 3.0
REPLY_SECONDS = 60.0
STATUS_SECONDS = 0.3
# The agent's own environment has next to nothing in it.
ENVIRONMENT = (
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
)


@dataclass(frozen=True)
class Output:
    """How a command in a guest ended: exit code (128 + n after signal n), standard output, standard error."""

    code: int
    out: str
    err: str


class Silent(SmokeFailure):
    """The agent did not answer in time."""


class Refused(SmokeFailure):
    """The agent answered with an error."""


class Framer:
    """Bytes from the port in, whole replies out."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The replies that data completes. Those before a delimiter are dropped, half ones and all."""
        self._pending = (self._pending + data).rpartition(DELIMITER)[2]
        *lines, self._pending = self._pending.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


def encode(command: str, arguments: dict[str, Any]) -> bytes:
    """A request as it goes to the agent."""
    return json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"


def exec_arguments(argv: Sequence[str], stdin: str = "") -> dict[str, Any]:
    """The arguments of guest-exec that run argv with stdin as its standard input."""
    arguments: dict[str, Any] = {
        "path": argv[0],
        "arg": list(argv[1:]),
        "env": list(ENVIRONMENT),
        "capture-output": True,
    }
    if stdin:
        arguments["input-data"] = base64.b64encode(stdin.encode()).decode()
    return arguments


def output(status: dict[str, Any]) -> Output:
    """What guest-exec-status says of a command that has ended."""

    def text(key: str) -> str:
        return base64.b64decode(status.get(key, "")).decode(errors="replace")

    return Output(status.get("exitcode", 128 + status.get("signal", 0)), text("out-data"), text("err-data"))


class Agent:
    """The agent behind the unix socket at path; check is called in all waits, to raise when QEMU is gone."""

    def __init__(self, path: Path, check: Callable[[], None]) -> None:
        self._check = check
        self._framer = Framer()
        self._ids = itertools.count(1)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(RECEIVE_SECONDS)
        self._socket.connect(str(path))

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    def sync(self) -> bool:
        """Whether the agent answers now; drops what it still had to say to earlier questions."""
        wanted = next(self._ids)
        self._socket.sendall(DELIMITER + encode("guest-sync-delimited", {"id": wanted}))
        deadline = time.monotonic() + SYNC_SECONDS
        while time.monotonic() < deadline:
            if {"return": wanted} in self._receive():
                return True
        return False

    def call(self, command: str, *, within: float = REPLY_SECONDS, **arguments: Any) -> Any:
        """The agent's reply. Raises Silent, or Refused with what the agent has against the command."""
        self._socket.sendall(encode(command, arguments))
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for reply in self._receive():
                if "error" in reply:
                    raise Refused(f"the guest agent refused {command}: {reply['error'].get('desc')}")
                return reply["return"]
        raise Silent(f"the guest agent did not answer {command} within {within:.0f} s")

    def start(self, argv: Sequence[str], stdin: str = "") -> int:
        """Starts argv in the guest; the pid that finish() takes."""
        return int(self.call("guest-exec", **exec_arguments(argv, stdin))["pid"])

    def read(self, path: str, within: float) -> str:
        """What a small file of the guest holds; Silent or Refused where it does not say so in time.

        Three short questions, none of which starts a process: for asking a guest that may be about to die.
        """
        handle = self.call("guest-file-open", within=within, path=path, mode="r")
        try:
            got = self.call("guest-file-read", within=within, handle=handle)
        finally:
            self.call("guest-file-close", within=within, handle=handle)
        return base64.b64decode(got["buf-b64"]).decode(errors="replace")

    def post(self, argv: Sequence[str], stdin: str = "") -> None:
        """Starts argv in the guest without waiting for an answer: a guest that dies of it gives none."""
        self._socket.sendall(encode("guest-exec", exec_arguments(argv, stdin)))

    def finish(self, pid: int, seconds: float) -> Output:
        """How the command with this pid ended; Silent if it has not within seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.call("guest-exec-status", pid=pid)
            if status["exited"]:
                return output(status)
            time.sleep(STATUS_SECONDS)
        raise Silent(f"still running after {seconds:.0f} s")

    def _receive(self) -> list[dict[str, Any]]:
        self._check()
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return []
        if not data:
            raise SmokeFailure("QEMU has hung up on the guest agent's port")
        return self._framer.feed(data)
