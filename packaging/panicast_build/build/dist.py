# SPDX-License-Identifier: GPL-2.0-or-later
"""dist/DISTRO, and folders in it: filled beside and renamed, with the evidence of what was built from what.

A target is the path of such a folder below dist/: debian-12, debian-12/kernel.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from panicast_build.core import files
from panicast_build.core.paths import DIST, dist_dir

METADATA, SUMS, LOG = "metadata.json", "SHA256SUMS", "build.log"


def _beside(target: str, what: str) -> Path:
    return DIST / f".{target.replace('/', '-')}.{what}"


@contextmanager
def locked(target: str) -> Iterator[None]:
    """One process at a time fills the folder of a target."""
    with files.locked(_beside(target, "lock")):
        yield


def sha256(path: Path) -> str:
    """The hash of a file, in hex."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def describe(path: Path) -> dict[str, Any]:
    """{"file": name, "size": bytes, "sha256": hex}."""
    return {"file": path.name, "size": path.stat().st_size, "sha256": sha256(path)}


def read(target: str) -> dict[str, Any]:
    """The metadata.json of what was built for a target last; {} if nothing was, or it cannot be read."""
    try:
        found = json.loads((dist_dir(target) / METADATA).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def intact(target: str, built: dict[str, Any]) -> bool:
    """Whether every file of a built component lies in dist/ with the bytes it was built with."""
    folder = dist_dir(target)
    return all(
        (folder / entry["file"]).is_file() and describe(folder / entry["file"]) == entry
        for entry in built["files"]
    )


@contextmanager
def staged(target: str) -> Iterator[Path]:
    """An empty folder that becomes dist/TARGET when the block ends well, and vanishes when it does not.

    The folders that are in dist/TARGET are targets of their own and stay there.
    """
    part = _beside(target, "part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        _publish(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _publish(part: Path, target: str) -> None:
    """Puts part in the place of dist/TARGET."""
    final, old = dist_dir(target), _beside(target, "old")
    outer = target.partition("/")[0]
    # Where a folder is within another that is filled too, neither may move while the other does.
    with locked(outer) if outer != target else nullcontext():
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            for inner in filter(Path.is_dir, list(final.iterdir())):
                inner.rename(part / inner.name)
            final.rename(old)
        final.parent.mkdir(parents=True, exist_ok=True)
        part.rename(final)
        shutil.rmtree(old, ignore_errors=True)


def finish(folder: Path, metadata: dict[str, Any]) -> None:
    """Writes metadata.json, and SHA256SUMS over every file of the folder."""
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines))


def keep(target: str, built: dict[str, Any], folder: Path) -> None:
    """Takes the files of a component that need not be built again into the folder that is being filled."""
    for entry in built["files"]:
        os.link(dist_dir(target) / entry["file"], folder / entry["file"])
