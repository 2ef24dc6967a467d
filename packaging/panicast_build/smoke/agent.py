# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the QEMU guest agent: runs argv lists inside a guest, over a virtio serial port.

Each direction carries one JSON object a line. The agent dies with its guest, and what was sent
before it started waits in the port. So every conversation begins with guest-sync-delimited, whose
reply follows a byte 0xFF, which no JSON contains: what came before that byte was meant for somebody
else.
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
from typing import Any, NoReturn

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
    """How a command in a guest ended: exit code (128 + n after signal n), standard output, standard
    error."""

    code: int
    out: str
    err: str


class Silent(SmokeFailure):
    """The agent did not answer in time."""


class Refused(SmokeFailure):
    """The agent answered with an error."""


class Framer:
    """Takes bytes from the port and returns whole replies."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Returns the replies that data completes. Drops those before a delimiter, even half ones."""
        self._pending = (self._pending + data).rpartition(DELIMITER)[2]
        *lines, self._pending = self._pending.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


def encode(command: str, arguments: dict[str, Any]) -> bytes:
    """Returns a request as the agent expects it."""
    return json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"


def exec_arguments(argv: Sequence[str], stdin: str = "") -> dict[str, Any]:
    """Returns the arguments of guest-exec that run argv with stdin as its standard input."""
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
    """Returns what guest-exec-status says of a command that has ended."""

    def text(key: str) -> str:
        return base64.b64decode(status.get(key, "")).decode(errors="replace")

    return Output(status.get("exitcode", 128 + status.get("signal", 0)), text("out-data"), text("err-data"))


class Agent:
    """The agent behind the unix socket at path. All waits call check, which raises if QEMU is gone."""

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
        """Tells whether the agent answers now. Drops its answers to earlier questions."""
        wanted = next(self._ids)
        try:
            self._send(DELIMITER + encode("guest-sync-delimited", {"id": wanted}))
        except Silent:
            return False
        deadline = time.monotonic() + SYNC_SECONDS
        while time.monotonic() < deadline:
            if {"return": wanted} in self._receive():
                return True
        return False

    def call(self, command: str, *, within: float = REPLY_SECONDS, **arguments: Any) -> Any:
        """Returns the agent's reply. Raises Silent, or Refused with the agent's error."""
        deadline = time.monotonic() + within
        self._send(encode(command, arguments), command)
        while time.monotonic() < deadline:
            for reply in self._receive():
                if "error" in reply:
                    raise Refused(f"the guest agent refused {command}: {reply['error'].get('desc')}")
                return reply["return"]
        raise Silent(f"the guest agent did not answer {command} within {within:.0f} s")

    def start(self, argv: Sequence[str], stdin: str = "") -> int:
        """Starts argv in the guest and returns the pid for finish()."""
        return int(self.call("guest-exec", **exec_arguments(argv, stdin))["pid"])

    def read(self, path: str, within: float) -> str:
        """Returns the contents of a small file of the guest. Raises Silent or Refused.

        It takes three short questions, none of which starts a process: good for a guest that may be
        about to die.
        """
        handle = self.call("guest-file-open", within=within, path=path, mode="r")
        try:
            got = self.call("guest-file-read", within=within, handle=handle)
        finally:
            self.call("guest-file-close", within=within, handle=handle)
        return base64.b64decode(got["buf-b64"]).decode(errors="replace")

    def post(self, argv: Sequence[str], stdin: str = "") -> None:
        """Starts argv in the guest without waiting for an answer, because a guest that dies of it
        gives none."""
        self._send(encode("guest-exec", exec_arguments(argv, stdin)))

    def finish(self, pid: int, seconds: float) -> Output:
        """Returns how the command with this pid ended. Raises Silent if it has not ended within
        seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.call("guest-exec-status", pid=pid)
            if status["exited"]:
                return output(status)
            time.sleep(STATUS_SECONDS)
        raise Silent(f"still running after {seconds:.0f} s")

    def _send(self, data: bytes, what: str = "a command") -> None:
        """Raises Silent if the port does not take data. It fills up while a guest has no agent yet; what
        went in half ends at the next delimiter."""
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise Silent(f"the guest agent's port did not take {what}") from error
        except BrokenPipeError:
            self._hung_up()

    def _receive(self) -> list[dict[str, Any]]:
        self._check()
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return []
        except ConnectionResetError:
            self._hung_up()
        if not data:
            self._hung_up()
        return self._framer.feed(data)

    def _hung_up(self) -> NoReturn:
        self._check()
        raise SmokeFailure("QEMU has hung up on the guest agent's port")
