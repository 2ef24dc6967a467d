# SPDX-License-Identifier: GPL-2.0-or-later
"""Publishes: makes a folder for each publication, and one symbolic link to the current one.

    OUT/snapshots/20261126T120000000000Z/…   as it was published, never changed afterwards
    OUT/current -> snapshots/…               the one thing that changes, atomically
    OUT/deb, OUT/rpm, … -> current/…         what a web server serves

A client that started with the last publication finishes with it: what an index names by its hash
stays for KEEP publications, packages stay for ever.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from panicast_build.core import files
from panicast_build.repository.key import Key
from panicast_build.targets.metadata import Project

KEEP = 5
SNAPSHOTS, CURRENT, MANIFEST = "snapshots", "current", "manifest.json"


@dataclass
class Snapshot:
    """A publication.

    It has a folder, a name, and the packages in it (path -> SHA-256 before they were signed).
    indexes are those that are named by their hash. entries says for each distro what its
    newest keyring package was made from (distro -> its content's SHA-256 and its version, in
    seconds since 1970).
    """

    folder: Path
    name: str
    packages: dict[str, str] = field(default_factory=dict)
    indexes: list[str] = field(default_factory=list)
    entries: dict[str, tuple[str, int]] = field(default_factory=dict)


class Terms(NamedTuple):
    """What all indexes of a publication share.

    The first key signs them (none: nobody does), and clients trust all. They are dated now, in seconds
    since 1970, and clients of apt refuse them after so many days. url is where they are served.
    """

    project: Project
    keys: Sequence[Key]
    now: int
    valid_days: int
    url: str


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return found


def published(out: Path) -> list[Path]:
    """Returns the folders of earlier publications, oldest first."""
    return sorted(path for path in (out / SNAPSHOTS).glob("[0-9]*") if (path / MANIFEST).exists())


@contextmanager
def publishing(out: Path) -> Iterator[Snapshot]:
    """Yields a snapshot with the current one's packages, which becomes current if the block
    succeeds."""
    out.mkdir(parents=True, exist_ok=True)
    with files.locked(out / ".lock"):
        earlier = published(out)
        name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        folder = out / SNAPSHOTS / name
        part = folder.with_name(f".{name}.part")
        for stale in (out / SNAPSHOTS).glob(".*.part"):
            shutil.rmtree(stale)
        part.mkdir(parents=True)
        made = Snapshot(part, name)
        if earlier:
            before = _manifest(earlier[-1])
            made.packages = dict(before["packages"])
            # Earlier versions did not state them.
            made.entries = {distro: tuple(stated) for distro, stated in before.get("entries", {}).items()}
            for path in made.packages:
                link(earlier[-1] / path, part / path)
        yield made
        _retain(made, earlier[-KEEP:])
        stated = {
            "packages": dict(sorted(made.packages.items())),
            "indexes": sorted(made.indexes),
            "entries": dict(sorted(made.entries.items())),
        }
        files.write(part / MANIFEST, json.dumps(stated, indent=2) + "\n")
        part.rename(folder)
        _point(out / CURRENT, f"{SNAPSHOTS}/{name}")
        for entry in folder.iterdir():
            _point(out / entry.name, f"{CURRENT}/{entry.name}")
        for stale in earlier[: -KEEP + 1]:
            shutil.rmtree(stale)


def link(source: Path, dest: Path) -> None:
    """Makes a hard link; nobody may write to the file again."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, dest)


def _retain(made: Snapshot, earlier: list[Path]) -> None:
    """Keeps what clients may still ask for that have read an earlier index."""
    for folder in earlier:
        for path in _manifest(folder)["indexes"]:
            if not (made.folder / path).exists():
                link(folder / path, made.folder / path)


def _point(path: Path, target: str) -> None:
    """Makes path a symbolic link to target, atomically."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(path)
