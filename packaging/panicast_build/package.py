# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv package: builds what changed into dist/DISTRO and shows what is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TextIO

import docker
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build import deb, dist, distros, engine, metadata, progress, rpm, source
from panicast_build.distros import Distro
from panicast_build.errors import UserError
from panicast_build.metadata import Component, Project
from panicast_build.paths import LOGS


class Builder(Protocol):
    """What a package family makes of a component for a distro."""

    def inputs(self) -> dict[str, object]:
        """Everything the bytes of the packages depend on, as JSON can say it."""

    def run(self, into: Path, log: TextIO) -> None:
        """Leaves the packages in the folder into; raises BuildError."""


WIDE = 140


Make = Callable[[docker.DockerClient, Project, Component, Distro], Builder]


def builders(rpm_host: str = rpm.AUTO) -> dict[str, Make]:
    """How each family's packages are built; rpm_host is where RPMs are."""
    return {"deb": deb.Build, "rpm": partial(rpm.Build, wanted_host=rpm_host)}


def run(names: str, component: str = "", rpm_host: str = rpm.AUTO) -> None:
    """Builds the packages of a comma list of distros (or "all"); of one component, or of all for "".

    rpm_host says where RPMs are built: see panicast_build.rpm.
    """
    chosen = [(distro, _components(distro, component)) for distro in distros.select(names)]
    project = metadata.load()
    client = engine.connect()
    for distro, wanted in chosen:
        with dist.locked(distro.name):
            _package(client, project, distro, wanted, builders(rpm_host)[distro.family])


def _components(distro: Distro, name: str) -> list[Component]:
    """The component called name, or every one for "", of those that the distro's family has."""
    wanted = [c for c in metadata.components(name) if distro.family in c.families]
    if not wanted:
        has = ", ".join(c.name for c in metadata.of_family(distro.family))
        raise UserError(f"{distro.name} has no packages of {name}", f"it has those of: {has}")
    return wanted


def _package(
    client: docker.DockerClient, project: Project, distro: Distro, wanted: list[Component], make: Make
) -> None:
    builds = {c.name: make(client, project, c, distro) for c in wanted}
    before = {
        name: built
        for name, built in dist.read(distro.name).get("components", {}).items()
        if dist.intact(distro.name, built)
    }
    stale = {
        name: build
        for name, build in builds.items()
        if name not in before or before[name]["inputs"] != build.inputs()
    }
    if not stale:
        progress.say(f"{distro.name}: nothing has changed since it was built")
        show(distro.name)
        return
    with dist.staged(distro.name) as folder:
        fresh = {name: _build(build, distro, name, folder) for name, build in stale.items()}
        kept = {name: built for name, built in before.items() if name not in stale}
        for built in kept.values():
            dist.keep(distro.name, built, folder)
        logs = [_log(distro, name) for name in sorted(kept | fresh)]
        (folder / dist.LOG).write_bytes(b"".join(path.read_bytes() for path in logs if path.exists()))
        dist.finish(
            folder,
            {
                "project": project.name,
                "version": project.version,
                "distro": distro.name,
                "git": source.commit(),
                "components": dict(sorted((kept | fresh).items())),
            },
        )
    show(distro.name)


def _log(distro: Distro, component: str) -> Path:
    return LOGS / f"package-{distro.name}-{component}.log"


def _build(build: Builder, distro: Distro, name: str, folder: Path) -> dict[str, Any]:
    """Builds one component into folder; what metadata.json says of it."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path, others, started = _log(distro, name), set(folder.iterdir()), time.monotonic()
    with (
        progress.step(f"building {metadata.COMPONENTS[name].package} for {distro.name}", log=path),
        path.open("w") as log,
    ):
        build.run(folder, log)
    return {
        "inputs": build.inputs(),
        "seconds": round(time.monotonic() - started, 1),
        "files": [dist.describe(made) for made in sorted(set(folder.iterdir()) - others)],
    }


def show(distro: str) -> None:
    """The table of the packages in dist/DISTRO, on standard output."""
    table = Table(box=SIMPLE, title=f"dist/{distro}")
    table.add_column("package", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("sha256", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    for built in dist.read(distro)["components"].values():
        for entry in built["files"]:
            if entry["file"].endswith((".deb", ".rpm")):
                row = (entry["file"], f"{entry['size']:,}", entry["sha256"], f"{built['seconds']:.1f}")
                table.add_row(*row)
    out = Console()
    # Where no terminal's width must hold it, a hash stays in one piece.
    if not out.is_terminal:
        out.width = WIDE
    out.print(table)
