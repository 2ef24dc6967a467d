# SPDX-License-Identifier: GPL-2.0-or-later
"""Vectors, a frame builder, and the receiver as a real process on a free port."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from panicast_receiver.db.meanings import CRASHES, Meanings
from panicast_receiver.meaning import Meaning, understand

from ...waiting import OWN_PORT, PATIENCE_S, held_port, own_address, wait_until

__all__ = ["OWN_PORT", "PATIENCE_S", "held_port", "own_address", "wait_until"]

VECTORS = json.loads((Path(__file__).parents[2] / "wire/vectors.json").read_text())


@pytest.fixture(scope="session")
def vectors():
    """Every vector, frames as bytes."""
    return [{**vector, "frames": [bytes.fromhex(frame) for frame in vector["frames"]]} for vector in VECTORS]


@pytest.fixture(scope="session")
def big(vectors):
    """The panic of six frames."""
    return next(vector for vector in vectors if vector["name"] == "panic of many frames")


def explain(state_dir):
    """What the service has another process do: look what all stored records mean."""
    with contextlib.closing(Meanings(state_dir / "panicast.db")) as meanings:
        while tasks := meanings.begin(16):
            meanings.end(
                [
                    (
                        task,
                        understand(task.text.decode("utf-8", "backslashreplace"), task.reason)
                        if task.type in CRASHES
                        else Meaning(),
                    )
                    for task in tasks
                ]
            )


class Receiver:
    """``panicast-receiver serve`` in a process of its own, its log read line by line."""

    def __init__(self, state_dir, *flags, prefix=(), ready=True):
        self.state_dir = state_dir
        self.host = "127.0.0.1"
        self.log = []
        self._rest = b""
        self.process = subprocess.Popen(
            [
                *prefix,
                sys.executable,
                "-m",
                "panicast_receiver",
                "serve",
                "--state-dir",
                str(state_dir),
                "--listen",
                "127.0.0.1:0",
                *flags,
            ],
            stderr=subprocess.PIPE,
        )
        if ready:
            self.wait_until_ready()

    def wait_until_ready(self):
        """Return when it keeps what is sent to ``port``."""
        self.port = int(self.wait_for(r"listening: UDP [^ ]+:(\d+)").group(1))
        self.wait_for("records are kept in")

    def wait_for(self, pattern, since=0):
        """The first match in the log after so many lines; fails when it does not come."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for line in self.log[since:]:
                if match := re.search(pattern, line):
                    return match
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} not in the log: {self.log}"
            self.read(left)

    def read(self, patience):
        """Read the log's next lines, if some come within so many seconds; fails when the service ended."""
        stream = self.process.stderr
        if select.select([stream], [], [], patience)[0]:
            data = os.read(stream.fileno(), 65536)
            assert data, f"the service ended: {self.log}"
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.log += [line.decode() for line in lines]

    def wait_counted(self, pattern):
        """The first match in what the service counts, once it is there: it is asked again until then."""

        def asked():
            since = len(self.log)
            self.process.send_signal(signal.SIGUSR1)
            line = self.wait_for("^packets ", since).string
            return re.search(pattern, line)

        return wait_until(asked, pattern)

    def send(self, frames):
        """Send datagrams to the service's port, at its host."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for frame in frames:
                sock.sendto(frame, (self.host, self.port))

    def stop(self, number=signal.SIGTERM):
        """Signal it, wait, and return the exit code; what it still logged is in ``log``."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=PATIENCE_S)
        self.log += (self._rest + rest).decode().split("\n")
        return self.process.returncode


@pytest.fixture
def serve(tmp_path):
    """Start services; each is ended at the test's end."""
    with contextlib.ExitStack() as stack:

        def start(*flags, state_dir=tmp_path / "state", prefix=(), ready=True):
            receiver = Receiver(state_dir, *flags, prefix=prefix, ready=ready)
            stack.callback(receiver.process.wait)
            stack.callback(receiver.process.kill)
            stack.callback(receiver.process.stderr.close)
            return receiver

        yield start


@pytest.fixture
def cli(tmp_path):
    """Run a command to its end; the state folder is the one that ``serve`` uses."""

    def run(*argv, state_dir=tmp_path / "state", env=None, prefix=(), text=True):
        command = [*prefix, sys.executable, "-m", "panicast_receiver", *argv]
        if state_dir is not None:
            command += ["--state-dir", str(state_dir)]
        return subprocess.run(
            command, capture_output=True, text=text, timeout=PATIENCE_S, env={**os.environ, **(env or {})}
        )

    return run


def ring_block(frames):
    """One block of a TPACKET_V3 ring with these Ethernet frames, as the kernel lays it out."""
    block = bytearray()
    for number, frame in enumerate(frames, 1):
        step = (82 + len(frame) + 7) // 8 * 8
        # The last one has no next one.
        following = step if number < len(frames) else 0
        head = struct.pack("=IIIIIIHH", following, 0, 0, len(frame), len(frame), 0, 82, 96).ljust(48, b"\0")
        address = struct.pack("=HHiHBB8s", 17, 0x0008, 1, 1, 1, 6, bytes(8))
        block += (head + address).ljust(82, b"\0") + frame.ljust(step - 82, b"\0")
    return bytes(block)


def udp_frame(payload, port=6664, options=b"", mac="525400123456", tail=b""):
    """An Ethernet frame with a datagram, as panicast sends it."""
    udp = struct.pack(">HHHH", 6665, port, 8 + len(payload), 0)
    total = 20 + len(options) + 8 + len(payload)
    ip = struct.pack(
        ">BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        0,
        total,
        0,
        0x4000,
        64,
        17,
        0,
        bytes([10, 0, 0, 7]),
        b"\xff" * 4,
    )
    return b"\xff" * 6 + bytes.fromhex(mac) + b"\x08\x00" + ip + options + udp + payload + tail
