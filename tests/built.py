# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the packages that tests build for later runs, in other clones too. A build still looks at what they
are made of, and builds anew what has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from panicast_build.build import dist, verified
from panicast_build.core import files
from panicast_build.core.paths import CACHE, dist_dir
from panicast_build.engine import images

KEPT = CACHE / "built"


@contextmanager
def kept(target: str) -> Iterator[None]:
    """with kept("debian-12"): what fills this folder of dist/. If it has no packages yet, it gets an earlier
    run's; those that it has in the end are kept for later runs."""
    name, folder = target.replace("/", "-"), dist_dir(target)
    # Another process of the run may build there.
    outer = target.partition("/")[0]
    with dist.locked(outer):
        bring(name, folder)
    yield
    with dist.locked(outer):
        keep(name, folder)


def bring(name: str, folder: Path) -> None:
    """Copies the packages of an earlier run into a folder that has none."""
    earlier = [path for path in KEPT.glob(f"{name}-*") if path.name.rpartition("-")[0] == name]
    if earlier and not (folder / dist.METADATA).exists():
        copy(earlier[-1], folder)


def keep(name: str, folder: Path) -> None:
    """Copies the packages in a folder for later runs."""
    made_of = json.loads((folder / dist.METADATA).read_text())["components"]
    files.cached(KEPT / f"{name}-{images.digest(made_of)}", lambda into: copy(folder, into))


def copy(folder: Path, into: Path) -> None:
    """Copies the files of a build, without what was found out of it later."""
    into.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and path.name not in verified.LATER:
            shutil.copy2(path, into)
