# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills dist/DISTRO and its subfolders atomically, with evidence of what was built from what.

A target is the path of such a folder below dist/: debian-12 or debian-12/kernel.
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
    """Lets only one process at a time fill a target's folder."""
    with files.locked(_beside(target, "lock")):
        yield


def sha256(path: Path) -> str:
    """Returns a file's SHA-256 in hex."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def describe(path: Path) -> dict[str, Any]:
    """Returns {"file": name, "size": bytes, "sha256": hex}."""
    return {"file": path.name, "size": path.stat().st_size, "sha256": sha256(path)}


def read(target: str) -> dict[str, Any]:
    """Returns the metadata.json of a target's last build; {} if there is none or it cannot be read."""
    try:
        found = json.loads((dist_dir(target) / METADATA).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def intact(target: str, built: dict[str, Any]) -> bool:
    """Tells whether every file of a built component is in dist/ with the bytes it was built with."""
    folder = dist_dir(target)
    return all(
        (folder / entry["file"]).is_file() and describe(folder / entry["file"]) == entry
        for entry in built["files"]
    )


@contextmanager
def staged(target: str) -> Iterator[Path]:
    """Yields an empty folder that becomes dist/TARGET if the block succeeds and is deleted if it
    does not.

    Folders in dist/TARGET are targets of their own and stay there.
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
    """Replaces dist/TARGET by part."""
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
    """Writes metadata.json, and SHA256SUMS of every file in the folder."""
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines))


def keep(target: str, built: dict[str, Any], folder: Path) -> None:
    """Copies the files of an unchanged component into the folder that is being filled."""
    for entry in built["files"]:
        os.link(dist_dir(target) / entry["file"], folder / entry["file"])
