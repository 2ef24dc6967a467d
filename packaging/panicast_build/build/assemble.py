# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills the folders of dist/: builds what has changed and keeps what has not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build.build import dist, source, verified
from panicast_build.core import progress
from panicast_build.core.paths import LOGS
from panicast_build.targets.metadata import Project

WIDE = 140
# What the files for others end in; the rest is beside them.
SHOWN = (".deb", ".rpm", ".oci.tar")


class Builder(Protocol):
    """Makes the packages of one component."""

    def inputs(self) -> dict[str, object]:
        """Returns everything that the packages' bytes depend on, as values that JSON can hold."""

    def run(self, into: Path, log: TextIO) -> None:
        """Writes the packages into the folder into. Raises BuildError."""


def fill(target: str, project: Project, builds: Mapping[str, Builder], titles: Mapping[str, str]) -> None:
    """Builds into dist/TARGET the components of builds (name -> Builder) that have changed, and
    shows the result.

    Components that are already there and not among builds are kept. titles describes each
    component.
    """
    before = {
        name: built
        for name, built in dist.read(target).get("components", {}).items()
        if dist.intact(target, built)
    }
    # As they are now: the tree may change while a build runs.
    inputs = {name: build.inputs() for name, build in builds.items()}
    stale = {
        name: build
        for name, build in builds.items()
        if name not in before or before[name]["inputs"] != inputs[name]
    }
    if not stale:
        progress.say(f"{target}: nothing has changed since it was built")
        show(target)
        return
    with dist.staged(target) as folder:
        fresh = {
            name: {"inputs": inputs[name], **_build(build, target, name, titles[name], folder)}
            for name, build in stale.items()
        }
        kept = {name: built for name, built in before.items() if name not in stale}
        for built in kept.values():
            dist.keep(target, built, folder)
        logs = [_log(target, name) for name in sorted(kept | fresh)]
        (folder / dist.LOG).write_bytes(b"".join(path.read_bytes() for path in logs if path.exists()))
        dist.finish(
            folder,
            {
                "project": project.name,
                "version": project.version,
                "distro": target.partition("/")[0],
                "git": source.commit(),
                "date": verified.today(),
                "components": dict(sorted((kept | fresh).items())),
            },
        )
    show(target)


def _log(target: str, component: str) -> Path:
    return LOGS / f"package-{target.replace('/', '-')}-{component}.log"


def _build(build: Builder, target: str, name: str, title: str, folder: Path) -> dict[str, Any]:
    """Builds one component into folder and returns its entry for metadata.json."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path, others, started = _log(target, name), set(folder.iterdir()), time.monotonic()
    with progress.step(f"building {title}", log=path), path.open("w") as log:
        build.run(folder, log)
    return {
        "seconds": round(time.monotonic() - started, 1),
        "files": [dist.describe(made) for made in sorted(set(folder.iterdir()) - others)],
    }


def show(target: str) -> None:
    """Prints the table of the packages in dist/TARGET."""
    table = Table(box=SIMPLE, title=f"dist/{target}")
    table.add_column("package", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("sha256", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    for built in dist.read(target)["components"].values():
        for entry in built["files"]:
            if entry["file"].endswith(SHOWN):
                row = (entry["file"], f"{entry['size']:,}", entry["sha256"], f"{built['seconds']:.1f}")
                table.add_row(*row)
    out = Console()
    # Where no terminal's width must hold it, a hash stays in one piece.
    if not out.is_terminal:
        out.width = WIDE
    out.print(table)
