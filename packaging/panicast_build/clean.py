# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv clean: shows what the cache holds and what it costs to make it again; deletes it with
--yes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build.core import files, progress
from panicast_build.core.errors import UserError
from panicast_build.core.paths import CACHE
from panicast_build.engine import engine, unused

# The folders of the cache, and who fills them again. The engine's own data goes with its images.
FOLDERS = {
    "bench": "a benchmark that was interrupted left it",
    "built": "the packages of the tests: built again in minutes",
    "ccache": "compiled kernels: ./inv kernel compiles them again, for hours",
    "compiled": "the compiled module of the tests",
    "crash": "the kernels that tests crash: made again in minutes",
    "images": "base images as archives: downloaded again",
    "kernel-source": "kernels' sources: downloaded again",
    "logs": "logs of earlier runs, and screenshots",
    "mutate": "a copy of the tree that an interrupted ./inv mutate left",
    "npm": "tools of the tests that only npm has: downloaded again",
    "smoke": "the virtual machines' disks: made again in minutes",
    "tested": "the packages with the module itself that tests install: built again in minutes",
}
IMAGES = "container images: downloaded and made again, in up to an hour"
UNITS = ("bytes", "KiB", "MiB", "GiB")


class Part(NamedTuple):
    """One part of the cache: its size in bytes and what it is."""

    name: str
    size: int
    what: str
    free: Callable[[], object]


def run(yes: bool) -> None:
    """Shows what can be deleted, and with yes deletes it. dist/ and everything in use stay."""
    parts = [*_folders(), *_images()]
    total = sum(part.size for part in parts)
    _show(parts, total)
    if not yes:
        progress.say(f"nothing was removed; ./inv clean --yes frees {shown(total)}")
        return
    for part in parts:
        with progress.step(f"freeing {part.name}"):
            part.free()
    left = sum(part.size for part in [*_folders(), *_images()])
    progress.say(f"freed {shown(total - left)}")


def shown(size: float) -> str:
    """Returns a number of bytes in a readable unit."""
    for unit in UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} {UNITS[-1]}"


def used(folder: Path) -> int:
    """Returns how many bytes the files of a folder occupy on the disk; holes do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _folders() -> list[Part]:
    return [
        Part(name, used(CACHE / name), what, partial(_empty, CACHE / name))
        for name, what in FOLDERS.items()
        if (CACHE / name).exists()
    ]


def _empty(folder: Path) -> None:
    """Deletes everything but locks: a process that waits for a deleted lock would hold a file that
    nobody sees."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.suffix != files.LOCK:
            path.unlink()


def _images() -> list[Part]:
    """Returns the images in the engine, if one answers or can be started."""
    try:
        client = engine.connect()
    except UserError as error:
        progress.say(f"the container images are not counted: {error}")
        return []
    found = unused.ours(client)
    return [Part("engine", unused.size(client), IMAGES, partial(unused.remove, client, found))]


def _show(parts: list[Part], total: int) -> None:
    table = Table("what", "size", "", box=SIMPLE, title=str(CACHE), show_footer=True)
    table.columns[1].justify = "right"
    table.columns[0].footer, table.columns[1].footer = "all", shown(total)
    for part in parts:
        table.add_row(part.name, shown(part.size), part.what)
    Console().print(table)
