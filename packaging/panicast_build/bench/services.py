# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts the receiver and its page on loopback, as any user, for as long as a block lasts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from panicast_build.core.errors import UserError

PATIENCE_S = 30.0


class Services(NamedTuple):
    """The TCP port of the page and the UDP port of the receiver."""

    page: int
    receiver: int


@contextmanager
def running(state: Path, page_port: int = 0) -> Iterator[Services]:
    """Yields the ports of a receiver and a page that keep and show the records in a folder. Any
    free port is taken for 0. Raises UserError, with what the program said, if one does not start."""
    serve = ("--listen", "127.0.0.1:0", "--capture", "udp")
    with (
        _process(state, "serve", serve, r"UDP 127\.0\.0\.1:(\d+)") as receiver,
        page(state, (), page_port) as shown,
    ):
        yield Services(shown, receiver)


@contextmanager
def page(state: Path, flags: Sequence[str], port: int = 0) -> Iterator[int]:
    """Yields the port of a page."""
    listen = ("--web-listen", f"127.0.0.1:{port}")
    with _process(state, "web", (*listen, *flags), r"web page: http://127\.0\.0\.1:(\d+)") as found:
        yield found


@contextmanager
def _process(state: Path, command: str, flags: Sequence[str], pattern: str) -> Iterator[int]:
    """Yields the port on which a command of the receiver says that it listens."""
    common = ("--config", os.devnull, "--state-dir", str(state))
    argv = [sys.executable, "-m", "panicast_receiver", command, *common, *flags]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, stderr=said)
        try:
            yield _port(command, process, said, pattern)
        finally:
            process.terminate()
            process.wait()


def _port(command: str, process: subprocess.Popen[bytes], said: IO[bytes], pattern: str) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        ended = process.poll() is not None
        text = os.pread(said.fileno(), 1 << 16, 0).decode()
        if found := re.search(pattern, text):
            return int(found[1])
        if ended or time.monotonic() > deadline:
            raise UserError(f"panicast-receiver {command} did not start", text.strip())
        time.sleep(0.05)
