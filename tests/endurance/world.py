# SPDX-License-Identifier: GPL-2.0-or-later
"""A log host of one process: a network of two ends, a small disk, a clock that can be turned, and senders."""

from __future__ import annotations

import contextlib
import errno
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from panicast_build.core import tools
from panicast_receiver.db import queueing, schema
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.records.record import ID_BYTES
from panicast_receiver.sinks.cursors import overview
from panicast_receiver.wire import v1 as wire

from ..unit.receiver.conftest import PATIENCE_S, Receiver, udp_frame, wait_until

PORT, NETCONSOLE = 6664, 6666
DISK_MIB = 96
HOSTS = 20
_VETH = "ip link add pc-a type veth peer name pc-b && ip link set pc-a up && ip link set pc-b up"
_SENDER = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("pc-b", 0))
for line in sys.stdin:
    s.send(bytes.fromhex(line))
"""
_CHECKPOINT = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1])
# Busy: the service is at it.
while database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
    time.sleep(0.05)
"""
#: In an hour of a few seconds more comes than is told at once: some of it waits for its turn.
_UNTOLD = (
    "SELECT count(*) FROM records, cursors WHERE "
    f"turn = {queueing.AT_ONCE} AND (records.changed > cursors.changed OR signature IS NULL)"
)
_KEPT = re.compile(
    r"record ([0-9a-f]{12}) \w+ from .* \((?:\d+ frames?, )(complete|now complete|incomplete.*)\)$"
)


def frame_to(port: int, data: bytes, host: int = 0) -> bytes:
    """An Ethernet frame with a datagram for the service."""
    frame = udp_frame(data, port=port, mac=f"5254000000{host:02x}")
    return frame[:30] + bytes([127, 0, 0, 1]) + frame[34:]


class World:
    """``kept``: what the service has said that it keeps, by id, and whether whole; ``ever``: also what
    was deleted since; ``sent``: the texts of all that was sent, by id."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.state = folder / "state"
        self.kept: dict[str, bool] = {}
        self.ever: dict[str, bool] = {}
        self.sent: dict[str, bytes] = {}
        self.receiver: Receiver | None = None
        self.offset_s = 0
        #: How many records were begun, forged ones too.
        self.identities = 0
        self._clock = folder / "clock"
        self._libraries = [folder / f"{name}.so" for name in ("clock", "power")]
        #: What a power cut leaves.
        self._disk = folder / "disk"
        self._disk.mkdir()
        self._events = [0] * HOSTS
        self._boots = [self.random.randbytes(16) for _ in range(HOSTS)]
        self._seen = 0
        self.state.mkdir()
        self._inside: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """The disk and the network exist, the service runs; afterwards all of it is gone."""
        tools.need("gcc", "ip", "unshare")
        for library in self._libraries:
            source = Path(__file__).with_name(f"{library.stem}.c")
            subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source], check=True)
        with contextlib.ExitStack() as stack:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "panicast", str(self.state)]
            subprocess.run(mount, check=True)
            stack.callback(subprocess.run, ["umount", str(self.state)], check=True)
            # The namespace outlives the service.
            script = f"ip link set lo up && {_VETH} && echo up && exec sleep infinity"
            self._inside = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE)
            stack.callback(self._inside.wait)
            stack.callback(self._inside.kill)
            assert self._inside.stdout and self._inside.stdout.readline() == b"up\n"
            self.turn_clock(0)
            self.start()
            stack.callback(self._end)
            yield

    # The service

    def start(self) -> None:
        """Start the service."""
        self.receiver = Receiver(
            self.state,
            *("--listen", f"127.0.0.1:{PORT}", "--interface", "pc-a,lo", "--capture", "ring"),
            *("--netconsole-port", str(NETCONSOLE), "--receive-buffer-mib", "4", "--memory-mib", "16"),
            *("--idle-s", "0.3", "--source-records-per-minute", "0"),
            *("--hook", "/bin/true"),
            prefix=(*self._enter, "env", *self._preloaded),
        )
        self._seen = 0

    def kill(self) -> None:
        """kill -9, and what it had said until then."""
        assert self.receiver
        self.receiver.stop(signal.SIGKILL)
        self._note()

    def cut_power(self) -> None:
        """What the service has not asked to be put on the disk is gone."""
        self.kill()
        for file in self.state.glob("panicast.db*"):
            file.unlink()
            if (self._disk / file.name).exists():
                shutil.copy(self._disk / file.name, file)

    @property
    def _preloaded(self) -> tuple[str, ...]:
        return (
            "LD_PRELOAD=" + ":".join(map(str, self._libraries)),
            *(f"CLOCK_OFFSET={self._clock}", f"POWER_DISK={self.state}/", f"POWER_KEPT={self._disk}"),
        )

    def stop(self) -> None:
        """In good order."""
        assert self.receiver
        assert self.receiver.stop() == 0, self.receiver.log[-5:]
        self._note()

    def _end(self) -> None:
        if self.receiver and self.receiver.process.poll() is None:
            self.receiver.stop(signal.SIGKILL)

    def read_log(self, patience: float = 0) -> None:
        """Take note of what the service says."""
        assert self.receiver
        self.receiver.read(patience)
        self._note()

    def _note(self) -> None:
        assert self.receiver
        for line in self.receiver.log[self._seen :]:
            assert "Traceback" not in line, self.receiver.log[-20:]
            if match := _KEPT.search(line):
                self.kept[match[1]] = self.kept.get(match[1], False) or not match[2].startswith("incomplete")
        self._seen = len(self.receiver.log)

    def wait_kept(self, ids: set[str]) -> None:
        """Wait until the service has said of these records that it keeps them whole."""

        def all_kept() -> bool:
            self.read_log(0.1)
            return all(self.kept.get(one) for one in ids)

        wait_until(all_kept, "all is kept")

    def wait_told(self) -> None:
        """Wait until all that is told at once was told and looked at, as long as it gets less."""
        least, deadline = 1 << 30, 0.0
        while waiting := self._untold():
            if waiting < least:
                least, deadline = waiting, time.monotonic() + PATIENCE_S
            assert time.monotonic() < deadline, (waiting, self.receiver and self.receiver.log[-5:])
            time.sleep(0.2)
        (sink,) = overview(self.state)
        assert (sink["state"], sink["aside"]) == ("works", [])

    def _untold(self) -> int:
        with contextlib.closing(schema.open_reader(self.state / schema.FILE_NAME)[0]) as database:
            (found,) = database.execute(_UNTOLD).fetchone()
        return int(found)

    def prune(self) -> None:
        """Delete old records, as administrators do; what was kept is what is left of it."""
        self.read_log()
        argv = [
            "env",
            *self._preloaded,
            sys.executable,
            "-m",
            "panicast_receiver",
            "prune",
            "--per-host",
            "10",
        ]
        subprocess.run([*argv, "--state-dir", self.state], check=True, stdout=subprocess.DEVNULL)
        with contextlib.closing(Reader(self.state)) as reader:
            left = {entry.summary["id"] for entry in reader.select(Query())}
        self.ever |= self.kept
        self.kept = {one: whole for one, whole in self.kept.items() if one in left}

    @property
    def rss_kib(self) -> int:
        """What memory the service has."""
        assert self.receiver
        status = Path(f"/proc/{self.receiver.process.pid}/status").read_text()
        (found,) = re.findall(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
        return int(found)

    # Disk, clock, network

    def turn_clock(self, seconds: int) -> None:
        """Let the service's clock show so much more."""
        self.offset_s += seconds
        # In place: the service has it mapped.
        with self._clock.open("r+b" if self._clock.exists() else "wb") as file:
            file.write(struct.pack("=q", self.offset_s))

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Not a byte more fits, nor into what the log has left of earlier ones."""
        # In a process of which a power cut leaves what it leaves of the service.
        argv = ["env", *self._preloaded, sys.executable, "-c", _CHECKPOINT, str(self.state / "panicast.db")]
        subprocess.run(argv, check=True, timeout=PATIENCE_S)
        filler = self.state / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        yield
        filler.unlink()

    def tear_log(self) -> None:
        """What a power cut leaves behind the last commit: half a page, and whatever lay there."""
        log = self.state / "panicast.db-wal"
        with log.open("ab") as file:
            size = file.tell()
            tail = log.read_bytes()[-4096 - 24 :][: self.random.randrange(1, 4120)] if size else b""
            try:
                file.write(tail + self.random.randbytes(self.random.randrange(1, 9000)))
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def unplug(self) -> None:
        """The interface is gone."""
        self.run("ip", "link", "del", "pc-a")

    def plug(self) -> None:
        """It is back, with another index."""
        self.run("sh", "-c", _VETH)

    @property
    def _enter(self) -> tuple[str, ...]:
        assert self._inside
        return ("nsenter", f"--net=/proc/{self._inside.pid}/ns/net")

    def run(self, *argv: str, lines: str | None = None) -> None:
        """A command in the network."""
        subprocess.run([*self._enter, *argv], check=True, timeout=PATIENCE_S, input=lines, text=True)

    # Senders

    def send(self, frames: list[bytes]) -> None:
        """Frames from the other end of the wire."""
        self.run(sys.executable, "-S", "-c", _SENDER, lines="".join(frame.hex() + "\n" for frame in frames))

    def _record(self, kind: str, host: int, text: bytes) -> tuple[str, list[bytes]]:
        """A new record's id and frames."""
        self._events[host] += 1
        self.identities += 1
        boot, event, name = self._boots[host], self._events[host], f"host-{host:02d}"
        metadata = f"host={name}\nrelease=6.1.0\nmodule=0.1.0\niface=eth0\n".encode()
        datagrams = wire.encode(kind, boot, event, time.time_ns(), name, metadata, text)
        return blake2b(wire.decode(datagrams[0]).identity, digest_size=ID_BYTES).hexdigest(), [
            frame_to(PORT, data, host) for data in datagrams
        ]

    def panics(self, count: int) -> tuple[set[str], list[bytes]]:
        """So many panics' ids, and their frames as a network that loses some delivers them: two passes, each
        with other gaps, mixed."""
        ids, frames = set(), []
        for _ in range(count):
            lines = self.random.randrange(1, 300)
            text = b"".join(
                b"<6>[%12.6f] line %d\n" % (n / 7, self.random.getrandbits(30)) for n in range(lines)
            )
            text += b"<0>[ 9999.000000] Kernel panic - not syncing: test %d\n" % self.random.randrange(5)
            one, made = self._record("panic", self.random.randrange(HOSTS), text)
            lost = set(self.random.sample(range(len(made)), k=len(made) // 3))
            frames += [frame for number, frame in enumerate(made) if number not in lost]
            frames += [
                frame for number, frame in enumerate(made) if number in lost or self.random.random() < 0.7
            ]
            self.sent[one] = text
            ids.add(one)
        self.random.shuffle(frames)
        return ids, frames

    def cut(self) -> tuple[str, list[bytes], list[bytes]]:
        """A panic's id, and its frames: those that come now, and one that comes some day."""
        text = self.random.randbytes(9000).hex().encode()
        one, made = self._record("panic", self.random.randrange(HOSTS), text)
        self.sent[one] = text
        late = self.random.randrange(len(made))
        return one, made[:late] + made[late + 1 :], made[late : late + 1]

    def background(self) -> list[bytes]:
        """An hour's hellos, netconsole, raw frames, garbage and forged beginnings of records."""
        frames = [frame for host in range(HOSTS) for frame in self._record("hello", host, b"")[1]]
        said = b"[    1.0] Kernel panic - not syncing: netconsole %d\n" % self.random.getrandbits(40)
        frames += [frame_to(NETCONSOLE, line) for line in (b"[    0.9] before\n", said)]
        raw = bytearray(frame_to(0, b"<0>Kernel panic - not syncing: raw %d\n" % self.random.getrandbits(40)))
        raw[23] = 255
        raw[34:42] = b""
        raw[16:18] = (len(raw) - 14).to_bytes(2, "big")
        frames.append(bytes(raw))
        for _ in range(50):
            data = self.random.randbytes(self.random.randrange(200))
            frames.append(frame_to(self.random.choice((PORT, NETCONSOLE)), data))
            forged = wire.encode(
                "panic", self.random.randbytes(16), 1, 1, "forged", b"host=forged\n", b"x" * 3000
            )
            frames.append(frame_to(PORT, self.random.choice(forged), 99))
            self.identities += 1
        return frames
