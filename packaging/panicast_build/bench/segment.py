# SPDX-License-Identifier: GPL-2.0-or-later
"""A network with two ends for ./inv bench receiver: a listener at one, a flood from the other."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run

SOURCE = ROOT / "tests" / "bench" / "flood" / "flood.c"
TEXT = 65536
FRAMES = 51
PATIENCE_SECONDS = 300
#: CPU time that does not grow for this long means that nothing is left to do.
QUIET_SECONDS = 0.3


@dataclass(frozen=True)
class Flood:
    """What was sent: the number of packets and seconds; serial is when each host's last frame left,
    by its number."""

    packets: int
    seconds: float
    sent_ns: dict[int, int]


class Segment:
    """Two network namespaces joined by a veth pair. The flood runs on CPU 0, listeners on CPU 1."""

    def __init__(self, scratch: Path, corpus: Path) -> None:
        self.scratch = scratch
        self._corpus = corpus
        self._listening, self._sending = (f"panicast-{end}-{os.getpid()}" for end in ("hear", "send"))
        self._flood = scratch / "flood"
        run(["gcc", "-O2", "-o", self._flood, SOURCE])

    def make(self) -> None:
        """Makes both ends."""
        for name in (self._listening, self._sending):
            run(["ip", "netns", "add", name])
            run(["ip", "-n", name, "link", "set", "lo", "up"])
        pair = ["link", "add", "pc0", "netns", self._listening, "type", "veth"]
        run(["ip", *pair, "peer", "name", "pc1", "netns", self._sending])
        run(["ip", "-n", self._sending, "link", "set", "pc1", "up"])
        run(["ip", "-n", self._listening, "link", "set", "pc0", "up"])
        # A source without a route back would be refused by rp_filter; netconsd could not hear it.
        run(["ip", "-n", self._listening, "addr", "add", "10.255.255.1/8", "dev", "pc0"])
        for name in ("all", "pc0"):
            self._inside(["sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0"])

    def remove(self) -> None:
        """Removes what make() made, even if it failed half-way."""
        for name in (self._listening, self._sending):
            run(["ip", "netns", "del", name], check=False)

    def _inside(self, argv: Sequence[str]) -> None:
        run(["ip", "netns", "exec", self._listening, *argv])

    @contextmanager
    def listen(self, argv: Sequence[str]) -> Iterator[Listener]:
        """Yields a process at the listening end on CPU 1, and kills it at the end if it still runs."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._listening, "taskset", "-c", "1", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        listener = Listener(process)
        reader = threading.Thread(target=listener.read)
        reader.start()
        try:
            yield listener
        finally:
            process.kill()
            process.wait()
            reader.join()

    def flood(self, hosts: int, passes: int, pps: int, *more: str) -> Flood:
        """Sends from the other end; see flood.c."""
        words = [self._flood, "pc1", self._corpus, hosts, passes, pps, *more]
        argv = ["ip", "netns", "exec", self._sending, "taskset", "-c", "0", *map(str, words)]
        *hosts_sent, total = run(argv).output.splitlines()
        packets, nanoseconds = map(int, total.split())
        sent = {int(host): int(ns) for host, ns in (line.split() for line in hosts_sent)}
        return Flood(packets, nanoseconds / 1e9, sent)


@dataclass(frozen=True)
class Listener:
    """A listening process, and its output lines with the time each was read (ns since the epoch)."""

    process: subprocess.Popen[str]
    said: list[tuple[int, str]] = field(default_factory=list)

    def read(self) -> None:
        """Reads the output to its end; runs in a thread of its own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append((time.time_ns(), line.rstrip("\n")))

    def cpu(self, thread: str = "") -> float:
        """Returns the CPU seconds that its threads, or those of this name, have used."""
        return _cpu(task for task in self._threads() if thread in ("", (task / "comm").read_text().strip()))

    def children_cpu(self) -> float:
        """Returns the CPU seconds that the processes which it has started, and which still run, have used."""
        return _cpu(self._children())

    def _threads(self) -> Iterator[Path]:
        return Path(f"/proc/{self.process.pid}/task").iterdir()

    def _children(self) -> Iterator[Path]:
        # Not every kernel lists them itself.
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(status.read_text().rpartition(")")[2].split()[1]) == self.process.pid:
                    yield from (status.parent / "task").iterdir()

    def udp_lost(self) -> int:
        """Returns the number of datagrams that its namespace's UDP sockets had no room for."""
        _, *sockets = Path(f"/proc/{self.process.pid}/net/udp").read_text().splitlines()
        return sum(int(line.split()[-1]) for line in sockets)

    def peak_mib(self) -> float:
        """Returns its peak resident memory in MiB, the shared ring included."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def wait_until_quiet(self) -> None:
        """Waits until it and its children no longer use a CPU or wait for one."""
        deadline, before = time.monotonic() + PATIENCE_SECONDS, -1.0
        while (used := self.cpu() + self.children_cpu()) > before + 0.005 or self._wants_cpu():
            if time.monotonic() > deadline:
                raise UserError("a listener does not become idle", self.last_words())
            before = used
            time.sleep(QUIET_SECONDS)

    def _wants_cpu(self) -> bool:
        tasks = [*self._threads(), *self._children()]
        return any((task / "stat").read_text().rpartition(")")[2].split()[0] in "RD" for task in tasks)

    def wait_for(self, words: str) -> None:
        """Waits until its output contains words."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(words in line for _, line in list(self.said)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"a listener does not say {words!r}", self.last_words())
            time.sleep(0.05)

    def last_words(self) -> str:
        """Returns the end of its output."""
        return "\n".join(line for _, line in self.said[-5:])

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ends it gracefully."""
        self.signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)


def _cpu(tasks: Iterable[Path]) -> float:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def segment(scratch: Path, corpus: Path) -> Iterator[Segment]:
    """Yields a network and removes it. Raises UserError without root."""
    tools.need("gcc", "ip", "taskset", "sysctl")
    if os.geteuid() != 0:
        raise UserError("the bench needs network namespaces", "run it as root")
    if (os.cpu_count() or 1) < 2:
        raise UserError("the bench needs two CPUs", "one sends, the other listens")
    made = Segment(scratch, corpus)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def write_corpus(path: Path, texts: int = 64) -> list[bytes]:
    """Writes different kernel logs of TEXT bytes each, made from this machine's own log, and
    returns them."""
    sample = run(["dmesg", "--raw"], check=False).output if shutil.which("dmesg") else ""
    lines = [line for line in sample.splitlines() if line.startswith("<")] or [
        "<6>[    1.000000] no log here"
    ]
    made = []
    for number in range(texts):
        turned = lines[number * 7 % len(lines) :] + lines[: number * 7 % len(lines)]
        text = bytearray()
        for count, line in enumerate(itertools.cycle(turned)):
            if len(text) >= TEXT:
                break
            text += f"{line} #{number}.{count}\n".encode(errors="replace")
        made.append(bytes(text[:TEXT]))
    path.write_bytes(b"".join(made))
    return made
