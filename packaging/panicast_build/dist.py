# SPDX-License-Identifier: GPL-2.0-or-later
"""dist/DISTRO: filled beside and renamed, with the evidence of what was built from what."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from panicast_build.paths import DIST, dist_dir

METADATA, SUMS, LOG = "metadata.json", "SHA256SUMS", "build.log"


@contextmanager
def locked(distro: str) -> Iterator[None]:
    """One process at a time fills the folder of a distro."""
    DIST.mkdir(exist_ok=True)
    with (DIST / f".{distro}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sha256(path: Path) -> str:
    """The hash of a file, in hex."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def describe(path: Path) -> dict[str, Any]:
    """{"file": name, "size": bytes, "sha256": hex}."""
    return {"file": path.name, "size": path.stat().st_size, "sha256": sha256(path)}


def read(distro: str) -> dict[str, Any]:
    """The metadata.json of what was built for a distro last; {} if nothing was, or it cannot be read."""
    try:
        found = json.loads((dist_dir(distro) / METADATA).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def intact(distro: str, built: dict[str, Any]) -> bool:
    """Whether every file of a built component lies in dist/ with the bytes it was built with."""
    folder = dist_dir(distro)
    return all(
        (folder / entry["file"]).is_file() and describe(folder / entry["file"]) == entry
        for entry in built["files"]
    )


@contextmanager
def staged(distro: str) -> Iterator[Path]:
    """An empty folder that becomes dist/DISTRO when the block ends well, and vanishes when it does not."""
    part, final, old = DIST / f".{distro}.part", dist_dir(distro), DIST / f".{distro}.old"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        part.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def finish(folder: Path, metadata: dict[str, Any]) -> None:
    """Writes metadata.json, and SHA256SUMS over every file of the folder."""
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines))


def keep(distro: str, built: dict[str, Any], folder: Path) -> None:
    """Takes the files of a component that need not be built again into the folder that is being filled."""
    for entry in built["files"]:
        os.link(dist_dir(distro) / entry["file"], folder / entry["file"])
