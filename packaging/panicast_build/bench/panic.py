# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench panic: measures what arrives of a panic, and how soon, by kernel, network card,
panic= and sender."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, product

from panicast_build.bench import parity, plot
from panicast_build.bench.senders import SENDERS, Sender
from panicast_build.core import document, progress, tools
from panicast_build.crash import guest, loss, verdict
from panicast_build.crash.cases import Case
from panicast_build.crash.guest import Frame, Outcome
from panicast_build.crash.kit import Kit, kit
from panicast_build.engine import engine
from panicast_build.smoke import vm
from panicast_build.targets import kernels

MODELS = ("virtio-net-pci", "e1000")
# At once, after some seconds, never.
PANICS = (-1, 5, 0)
WANTED = (verdict.PANIC_LINE, "sysrq_handle_crash")
# A line of the log and a frame, made at the same time, tie the guest's clock to that of its frames.
MARK, MARKING, MARKED = "MARK-IN-TIME", "pc_crash mark", b"\x90\x00"


@dataclass(frozen=True)
class Shot:
    """One crash: whether the panic line and the trace arrived, how many frames and bytes left after
    the panic line, and the guest's milliseconds from that line to the last frame (None: there was
    none)."""

    arrived: bool
    frames: int
    bytes: int
    milliseconds: float | None


@dataclass(frozen=True)
class Cell:
    """The crashes of one combination."""

    kernel: str
    nic: str
    panic: int
    sender: str
    shots: tuple[Shot, ...]

    @property
    def arrived(self) -> int:
        """Counts the crashes that arrived."""
        return sum(shot.arrived for shot in self.shots)

    @property
    def frames(self) -> float:
        """Returns the median number of frames."""
        return statistics.median(shot.frames for shot in self.shots)

    @property
    def bytes(self) -> float:
        """Returns the median number of bytes."""
        return statistics.median(shot.bytes for shot in self.shots)

    @property
    def milliseconds(self) -> float | None:
        """Returns the median of the times that are known."""
        times = [shot.milliseconds for shot in self.shots if shot.milliseconds is not None]
        return statistics.median(times) if times else None


def run(kernel: str, runs: int) -> None:
    """Crashes guests of a comma list of kernels ("": all), runs times each, and writes
    docs/benchmarks.md.

    Raises UserError for an unknown kernel.
    """
    tools.need(vm.QEMU, "setpriv")
    client = engine.connect()
    cells: list[Cell] = []
    for each in kernels.select(kernel):
        made = kit(client, each)
        with progress.step(
            f"crashing {made.release}, {len(MODELS) * len(PANICS) * len(SENDERS) * runs} times"
        ):
            cells += _measure(made, runs)
    sample = _crash(made, MODELS[0], -1, SENDERS[0])
    rows = [
        (f"{release}, {nic}, panic={panic}", {cell.sender: 100 * cell.arrived / runs for cell in row})
        for (release, nic, panic), row in groupby(cells, lambda cell: (cell.kernel, cell.nic, cell.panic))
    ]
    plot.bars("benchmarks-panic.svg", "Panics whose panic line and trace arrived, %", rows)
    document.write(
        "benchmarks.md",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command=" ".join(
            ["./inv bench panic", *([f"--kernel {kernel}"] if kernel else []), f"--runs {runs}"]
        ),
        qemu=vm.version(),
        cpus=os.cpu_count(),
        runs=runs,
        cells=cells,
        trials=loss.TRIALS,
        columns=loss.LOSSES,
        parity_ms=parity.milliseconds(),
        load=os.getloadavg()[0],
        losses=_losses(sample, cells),
    )


def _measure(made: Kit, runs: int) -> Iterable[Cell]:
    combinations = list(product(MODELS, PANICS, SENDERS))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        shots = [
            [pool.submit(_shoot, made, nic, panic, sender) for _ in range(runs)]
            for nic, panic, sender in combinations
        ]
        for (nic, panic, sender), futures in zip(combinations, shots, strict=True):
            yield Cell(made.release, nic, panic, sender.name, tuple(future.result() for future in futures))


def _crash(made: Kit, nic: str, panic: int, sender: Sender) -> Outcome:
    case = Case(
        name=sender.name,
        panic=panic,
        modules=sender.modules,
        load=sender.load,
        armed=sender.armed,
        after=MARKING,
    )
    return guest.crash(made, nic, case)


def _shoot(made: Kit, nic: str, panic: int, sender: Sender) -> Shot:
    outcome = _crash(made, nic, panic, sender)
    panicked = _panic_time(outcome)
    late = [frame for frame in outcome.frames if frame.at >= panicked]
    text = sender.text(outcome.frames)
    return Shot(
        arrived=all(words in text for words in WANTED),
        frames=len(late),
        bytes=sum(len(frame.data) for frame in late),
        milliseconds=(late[-1].at - panicked) * 1000 if late else None,
    )


def _panic_time(outcome: Outcome) -> float:
    """Returns when the panic line was logged, on the frames' clock."""
    said = {words: _stamp(outcome.console, words) for words in (MARK, verdict.PANIC_LINE)}
    marked = next(frame.at for frame in outcome.frames if frame.data[12:14] == MARKED)
    return marked + said[verdict.PANIC_LINE] - said[MARK]


def _stamp(console: str, words: str) -> float:
    found = re.search(rf"\[ *(\d+\.\d+)\] .*{re.escape(words)}", console)
    if not found:
        raise RuntimeError(f"the guest did not say {words!r}; its console ends with: {console[-300:]}")
    return float(found[1])


def _losses(sample: Outcome, cells: Sequence[Cell]) -> list[tuple[str, list[float]]]:
    """Returns for each way of sending the share of complete records, for each loss."""
    heard = [cell for cell in cells if cell.sender == "netconsole" and cell.arrived]
    rows = [
        (name, [verdict.complete(parts, each) for each in loss.LOSSES])
        for name, parts in ways(sample.frames).items()
    ]
    if heard:
        packets = round(statistics.median(cell.frames for cell in heard))
        rows.append((f"netconsole, {packets} packets", [loss.whole(packets, each) for each in loss.LOSSES]))
    return rows


def ways(frames: Sequence[Frame]) -> dict[str, list[Sequence[Frame]]]:
    """Returns the parts that a panic, recorded with as much parity as frames, would have sent in
    each way."""
    panics = verdict.of_panics(frames)
    source, parity = panics[: len(panics) // 2], panics[len(panics) // 2 :]
    return {
        **{f"panicast, parity=0 repeat={repeat}": [source] * repeat for repeat in (1, 2, 3)},
        "panicast, parity=50": [source, parity[: (len(parity) + 1) // 2]],
        "panicast, parity=100": [source, parity],
    }
