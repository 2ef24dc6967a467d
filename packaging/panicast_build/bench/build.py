# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench build: measures what the pipeline adds to a kernel build by hand."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO, TypeVar

import docker

from panicast_build.core import document, progress
from panicast_build.core.choice import choose
from panicast_build.core.paths import CACHE, LOGS
from panicast_build.engine import engine
from panicast_build.kernel import build, config, deb, task
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import Wanted
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import DebDistro

T = TypeVar("T")
CONFIG = "smoke"
FOLDER = CACHE / "bench"


@dataclass(frozen=True)
class Cost:
    """The cost of a build: wall-clock seconds and CPU seconds; None if they were not measured."""

    wall: float
    cpu: float | None


@dataclass(frozen=True)
class Medians:
    """The medians of one kernel's builds. prepare is preparing the tree by hand, make is bindeb-pkg
    in it."""

    kernel: str
    prepare: Cost
    make: Cost
    cold: Cost
    warm: Cost
    unchanged: Cost

    @property
    def overhead(self) -> float:
        """Returns how much more CPU time the pipeline uses with an empty ccache than a build by
        hand, in percent."""
        assert self.prepare.cpu and self.make.cpu and self.cold.cpu
        return 100 * (self.cold.cpu / (self.prepare.cpu + self.make.cpu) - 1)


def run(kernel: str, runs: int) -> None:
    """Builds the trimmed kernels of a comma list of series ("": all), runs times each, and writes
    docs/benchmarks-build.md. Raises UserError for a series that no target has."""
    known = {distro.kernel: distro for distro in distros.of_family(DebDistro).values()}
    client = engine.connect()
    rows = [_measure(client, distro, runs) for distro in choose("kernel", kernel, known)]
    document.write(
        "benchmarks-build.md",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command=" ".join(
            ["./inv bench build", *([f"--kernel {kernel}"] if kernel else []), f"--runs {runs}"]
        ),
        cpus=os.cpu_count(),
        config=config.get(CONFIG),
        runs=runs,
        rows=rows,
    )


def _measure(client: docker.DockerClient, distro: DebDistro, runs: int) -> Medians:
    LOGS.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    taken: dict[str, list[Cost]] = {}
    with (LOGS / f"bench-build-{distro.name}.log").open("w") as log:
        for _ in range(runs):
            with tempfile.TemporaryDirectory(dir=FOLDER) as cache:
                for name, cost in _once(client, distro, Path(cache), log).items():
                    taken.setdefault(name, []).append(cost)
    return Medians(distro.kernel, **{name: _median(costs) for name, costs in taken.items()})


def _median(costs: list[Cost]) -> Cost:
    counted = [cost.cpu for cost in costs if cost.cpu is not None]
    return Cost(
        statistics.median(cost.wall for cost in costs), statistics.median(counted) if counted else None
    )


def _once(client: docker.DockerClient, distro: DebDistro, cache: Path, log: TextIO) -> dict[str, Cost]:
    """Builds once in each way, with one ccache folder that is empty at first."""
    wanted = Wanted(config.get(CONFIG))
    made = deb.Build(client, metadata.load(), distro, Options(wanted, cached=False))
    with progress.step(f"building {distro.kernel} by hand", log=Path(log.name)):
        prepare, make = _by_hand(client, made, log)
    cached = Options(wanted, cache=cache)
    costs = {"prepare": prepare, "make": make}
    for name in ("cold", "warm"):
        pipeline = deb.Build(client, metadata.load(), distro, cached)
        with (
            progress.step(f"building {distro.kernel} by the pipeline, {name}", log=Path(log.name)),
            tempfile.TemporaryDirectory(dir=FOLDER) as into,
        ):
            wall, _ = _timed(partial(pipeline.run, Path(into), log))
        costs[name] = Cost(wall, pipeline.cpu_seconds)
    task.run(distro.name, cached)
    wall, _ = _timed(partial(task.run, distro.name, cached))
    costs["unchanged"] = Cost(wall, None)
    return costs


def _by_hand(client: docker.DockerClient, made: deb.Build, log: TextIO) -> tuple[Cost, Cost]:
    """Unpacks, patches and configures the tree, then runs `make bindeb-pkg`."""
    with build.workshop(client, made.image, made.options, log) as (box, jobs, _):
        started = box.cpu_seconds()
        wall, prepared = _timed(lambda: made.prepare(box, log))
        between = box.cpu_seconds()
        make_wall, _ = _timed(lambda: made.make(box, prepared, jobs, {}, log))
        return Cost(wall, between - started), Cost(make_wall, box.cpu_seconds() - between)


def _timed(action: Callable[[], T]) -> tuple[float, T]:
    """Returns the seconds that action took, and its result."""
    started = time.monotonic()
    result = action()
    return time.monotonic() - started, result
