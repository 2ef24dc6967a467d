# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench receiver: measures what the receiver loses, uses and keeps in floods, beside
netconsd."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from panicast_build.bench import netconsd
from panicast_build.bench.segment import (
    FRAMES,
    QUIET_SECONDS,
    Flood,
    Listener,
    Segment,
    segment,
    write_corpus,
)
from panicast_build.core import document, progress
from panicast_build.core.paths import ROOT
from panicast_receiver.db.reader import Query, Reader

BURST_HOSTS = 10_000
PACED_PPS = 102_000
DRAIN_HOSTS = 2_000
PANICS_PER_SECOND = 100
#: As many forged frames, times FRAMES, as keep a CPU busy while the honest records come.
FORGED_HOSTS = 8_000
#: Records of every type that are forged a second while honest ones come, and for how many seconds.
EVERY_PPS, EVERY_SECONDS = 100_000, 12
#: How long it waits for what is told late.
TOLD_WITHIN_SECONDS = 60
#: What is given to the receiver unless a case says otherwise: everything fits into memory.
ROOMY = ("--memory-mib", "1024", "--reserve-mib", "768", "--receive-buffer-mib", "256")


#: The receiver's threads that have a figure of their own.
THREADS = ("capture", "meaning")


@dataclass(frozen=True)
class Use:
    """Microseconds of CPU for each packet that was not lost, of the whole process, of those that it has
    started and of each of THREADS (of netconsd none); and the number of lost packets."""

    whole: float
    children: float
    threads: Mapping[str, float]
    lost: int = 0


@dataclass(frozen=True)
class Burst:
    """A burst at full speed: how fast it came, what became of it, and what it cost."""

    memory_mib: int
    packets: int
    seconds: float
    lost: int
    spilled: int
    complete: int
    exact: int
    peak_mib: float
    after: float


@dataclass(frozen=True)
class Forged:
    """Honest records in a flood of forged frames, each of which begins a record."""

    packets: int
    seconds: float
    lost: int
    honest: int
    complete: int
    stored: int


@dataclass(frozen=True)
class Told:
    """Honest records in a flood of forged ones of every type: how many are complete, how many a webhook was
    told of, and milliseconds from the last frame of each until then."""

    packets: int
    seconds: float
    lost: int
    honest: int
    complete: int
    told: int
    median: float
    worst: float


def _environment() -> list[str]:
    """Returns the environment of the service's unit, as NAME=VALUE."""
    unit = (ROOT / "receiver" / "dist" / "panicast-receiver.service").read_text()
    return re.findall(r"^Environment=(\S+)$", unit, re.MULTILINE)


@contextmanager
def _receiver(net: Segment, *flags: str) -> Iterator[tuple[Listener, Path]]:
    """Yields our running service and its state folder."""
    with tempfile.TemporaryDirectory(dir=net.scratch) as folder:
        state = Path(folder)
        serve = [
            "env",
            *_environment(),
            sys.executable,
            "-m",
            "panicast_receiver",
            "serve",
            "--config",
            os.devnull,
        ]
        argv = [*serve, "--state-dir", folder, "--interface", "pc0", *flags]
        with net.listen(argv) as listener:
            listener.wait_for("records are kept in")
            yield listener, state


@contextmanager
def _netconsd(net: Segment, program: Path) -> Iterator[Listener]:
    with net.listen(netconsd.command(program)) as listener:
        time.sleep(0.5)
        yield listener


def run(runs: int, source: str) -> None:
    """Measures, and writes docs/benchmarks-receiver.md. source is netconsd's folder ("": leave it
    out)."""
    with tempfile.TemporaryDirectory(prefix="panicast-bench-") as folder:
        scratch = Path(folder)
        peer = netconsd.build(source, scratch)
        texts = write_corpus(scratch / "corpus")
        with segment(scratch, scratch / "corpus") as net:
            figures = _measure(net, peer, texts, runs)
    document.write(
        "benchmarks-receiver.md",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command=f"./inv bench receiver --runs {runs}" + (" --netconsd FOLDER" if peer else ""),
        cpus=os.cpu_count(),
        load=os.getloadavg()[1],
        python=sys.version.split()[0],
        sqlite=sqlite3.sqlite_version,
        runs=runs,
        **figures,
    )


def _measure(net: Segment, peer: Path | None, texts: Sequence[bytes], runs: int) -> dict[str, object]:
    paced: dict[str, list[Use]] = {"panicast": [], "netconsd": []}
    drained: dict[str, list[Use]] = {"panicast": [], "netconsd": []}
    bursts: list[Burst] = []
    for number in range(runs):
        with progress.step(f"run {number + 1} of {runs}: {PACED_PPS} packets a second"):
            with _receiver(net, *ROOMY) as (listener, _):
                paced["panicast"].append(_paced(net, listener, THREADS))
            if peer:
                with _netconsd(net, peer) as listener:
                    paced["netconsd"].append(_paced(net, listener))
        with progress.step(f"run {number + 1} of {runs}: a backlog"):
            with _receiver(net, *ROOMY, "--receive-buffer-mib", "512") as (listener, _):
                drained["panicast"].append(_drain(net, listener, THREADS))
            if peer:
                with _netconsd(net, peer) as listener:
                    drained["netconsd"].append(_drain(net, listener))
        with progress.step(f"run {number + 1} of {runs}: bursts of {BURST_HOSTS} hosts"):
            bursts += [_burst(net, texts, memory) for memory in (1024, 256)]
    with progress.step(f"{PANICS_PER_SECOND} panics a second"):
        delays = _delays(net)
    with progress.step("a flood of forged frames"):
        forged = _forged(net)
    with progress.step("a flood of forged records of every type"):
        told = _told(net)
    return {
        "paced": {name: _median(uses) for name, uses in paced.items() if uses},
        "drained": {name: _median(uses) for name, uses in drained.items() if uses},
        "bursts": bursts,
        "delays": delays,
        "forged": forged,
        "told": told,
        "pps": PACED_PPS,
        "hosts": BURST_HOSTS,
        "panics": PANICS_PER_SECOND,
        "netconsd_left_out": peer is None,
        "setting": netconsd.SETTING,
    }


def _median(uses: Sequence[Use]) -> Use:
    threads = {name: statistics.median(use.threads[name] for use in uses) for name in uses[0].threads}
    return Use(
        statistics.median(use.whole for use in uses),
        statistics.median(use.children for use in uses),
        threads,
        max(use.lost for use in uses),
    )


def _paced(net: Segment, listener: Listener, threads: Sequence[str] = ()) -> Use:
    return _used(listener, threads, lambda: net.flood(BURST_HOSTS, 2, PACED_PPS))


def _drain(net: Segment, listener: Listener, threads: Sequence[str] = ()) -> Use:
    listener.signal(signal.SIGSTOP)
    flood = net.flood(DRAIN_HOSTS, 2, 0)

    def go_on() -> Flood:
        listener.signal(signal.SIGCONT)
        return flood

    return _used(listener, threads, go_on)


def _used(listener: Listener, threads: Sequence[str], send: Callable[[], Flood]) -> Use:
    before = {name: listener.cpu(name) for name in ("", *threads)}
    started = listener.children_cpu()
    flood = send()
    listener.wait_until_quiet()
    # Ours keeps its port with a UDP socket that hears nothing; what its ring loses is in the bursts' table.
    lost = 0 if threads else listener.udp_lost()
    each = 1e6 / (flood.packets - lost)
    used = {name: (listener.cpu(name) - cpu) * each for name, cpu in before.items()}
    return Use(used.pop(""), (listener.children_cpu() - started) * each, used, lost)


def _burst(net: Segment, texts: Sequence[bytes], memory_mib: int) -> Burst:
    reserve = memory_mib * 3 // 4
    flags = ("--memory-mib", str(memory_mib), "--reserve-mib", str(reserve), "--receive-buffer-mib", "256")
    with _receiver(net, *flags) as (listener, state):
        flood = net.flood(BURST_HOSTS, 2, 0)
        ended = last = time.monotonic()
        busy = 0.0
        database = sqlite3.connect(f"file:{state}/panicast.db?mode=ro", uri=True)
        stored = 0
        while time.monotonic() < last + 5 or listener.cpu("capture") > busy + 0.01:
            busy = listener.cpu("capture")
            (count,) = database.execute("SELECT count(*) FROM records WHERE complete").fetchone()
            if count > stored:
                stored, last = count, time.monotonic()
            time.sleep(0.2)
        database.close()
        peak = listener.peak_mib()
        listener.stop()
        log = listener.last_words()
        return Burst(
            memory_mib=memory_mib,
            packets=flood.packets,
            seconds=flood.seconds,
            lost=_counted(log, "dropped by the kernel, buffer full"),
            spilled=_counted(log, "spilled to disk"),
            complete=stored,
            exact=_exact(state, texts),
            peak_mib=peak,
            after=last - ended,
        )


def _forged(net: Segment) -> Forged:
    """Runs both floods on the sending CPU; the honest records come twice each, in between."""
    with _receiver(net, *ROOMY) as (listener, state), ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(net.flood, FORGED_HOSTS, 1, 0, "1000000", "forge")
        honest = net.flood(PANICS_PER_SECOND, 2, PANICS_PER_SECOND * FRAMES, "0", "serial")
        flood = flooding.result()
        listener.wait_until_quiet()
        listener.stop()
        kept = _kept(state)
    return Forged(
        packets=flood.packets,
        seconds=flood.seconds,
        lost=_counted(listener.last_words(), "dropped by the kernel, buffer full"),
        honest=len(honest.sent_ns),
        complete=sum(entry["complete"] for entry in kept),
        stored=len(kept),
    )


def _told(net: Segment) -> Told:
    """Tells a webhook of honest records, each sent once, while others are forged."""
    hosts = EVERY_PPS * EVERY_SECONDS // FRAMES
    target = [sys.executable, "-m", "panicast_build.bench.told", "8080"]
    webhook = ("--webhook", "http://127.0.0.1:8080/")
    with (
        net.listen(target) as hearing,
        _receiver(net, *ROOMY, *webhook) as (listener, state),
        ThreadPoolExecutor(1) as pool,
    ):
        hearing.wait_for("ready")
        flooding = pool.submit(net.flood, hosts, 1, EVERY_PPS, "1000000", "every")
        honest = net.flood(PANICS_PER_SECOND, 1, PANICS_PER_SECOND * FRAMES, "0", "serial")
        flood = flooding.result()
        names = {f"host-{host:08}": sent for host, sent in honest.sent_ns.items()}
        deadline = time.monotonic() + TOLD_WITHIN_SECONDS
        while names.keys() - {line for _, line in list(hearing.said)} and time.monotonic() < deadline:
            time.sleep(QUIET_SECONDS)
        listener.stop()
        # The first time that it heard of each.
        heard = {line: at for at, line in reversed(hearing.said)}
        complete = {summary["host"] for summary in _kept(state) if summary["complete"]}
    delays = sorted((heard[name] - sent) / 1e6 for name, sent in names.items() if name in heard)
    return Told(
        packets=flood.packets,
        seconds=flood.seconds,
        lost=_counted(listener.last_words(), "dropped by the kernel, buffer full"),
        honest=len(names),
        complete=len(complete & names.keys()),
        told=len(delays),
        median=statistics.median(delays) if delays else 0.0,
        worst=delays[-1] if delays else 0.0,
    )


def _kept(state: Path) -> list[dict[str, Any]]:
    """Returns what `list --json` says of each record."""
    reader = Reader(state)
    kept = [entry.summary for entry in reader.select(Query())]
    reader.close()
    return kept


def _counted(log: str, name: str) -> int:
    found = re.search(rf"{re.escape(name)} (\d+)", log)
    return int(found[1]) if found else 0


def _exact(state: Path, texts: Sequence[bytes]) -> int:
    """Counts the records that equal what their host sent, byte for byte."""
    reader, exact = Reader(state), 0
    for entry in reader.select(Query()):
        number = int(entry.summary["host"].removeprefix("host-"))
        exact += reader.load(entry).received_text == texts[number % len(texts)]
    reader.close()
    return exact


def _delays(net: Segment) -> dict[str, float]:
    """Returns the milliseconds from each record's last frame to its announcement, which comes after
    it is on the disk."""
    with _receiver(net, *ROOMY) as (listener, _):
        flood = net.flood(10 * PANICS_PER_SECOND, 1, PANICS_PER_SECOND * FRAMES, "0", "serial")
        listener.wait_until_quiet()
        listener.stop()
        announced = [(at, re.search(r"^record .* from host-(\d+)", line)) for at, line in listener.said]
        stored = {int(found[1]): at for at, found in announced if found}
    delays = sorted((stored[host] - sent) / 1e6 for host, sent in flood.sent_ns.items() if host in stored)
    return {
        "records": len(delays),
        "of": len(flood.sent_ns),
        "median": statistics.median(delays),
        "p99": delays[int(len(delays) * 0.99) - 1],
        "worst": delays[-1],
    }
