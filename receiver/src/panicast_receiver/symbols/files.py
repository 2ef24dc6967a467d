# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the file with the debug information of a kernel or a module: in folders, or on a server."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import ReceiverError
from ..meaning.code import KERNEL
from . import limited

#: Where a kernel's image with debug information lies in a folder, as distributions and kernel trees have it.
_KERNELS = (
    "vmlinux-{0}",
    "vmlinux-{0}.debug",
    "{0}/vmlinux",
    "boot/vmlinux-{0}",
    "lib/modules/{0}/vmlinux",
    "lib/modules/{0}/vmlinux.debug",
    "lib/modules/{0}/build/vmlinux",
    "usr/lib/debug/boot/vmlinux-{0}",
    "usr/lib/debug/lib/modules/{0}/vmlinux",
)
#: Folders below which a kernel's modules lie.
_MODULES = ("{0}", "lib/modules/{0}", "usr/lib/debug/lib/modules/{0}")
#: Files that are looked at below one folder.
_MOST_FILES = 100_000
#: A file that is larger is not read.
LARGEST = 4 << 30
#: Bytes of servers' files that are kept, and how many files: hosts choose what is asked for.
KEPT, MOST_KEPT = 2 * LARGEST, 2000
#: Seconds until a server has sent a file.
FETCH_S = 600.0
#: What a host says of its kernel becomes a part of paths only if it looks like this.
_RELEASE = re.compile(r"[A-Za-z0-9][\w.+~-]{0,127}")


class Symbols(NamedTuple):
    """Where debug information is: folders, and debuginfod servers; ``kept`` is where what these
    send is kept."""

    folders: Sequence[Path]
    servers: Sequence[str]
    kept: Path


def find(symbols: Symbols, release: str, module: str, build_id: str) -> Path | None:
    """Return the file of a module, or of the kernel itself (``vmlinux``); None if there is none. Raises
    ReceiverError if a server does not answer."""
    for path in _lying(symbols, release, module, build_id):
        if path.is_file() and path.stat().st_size <= LARGEST:
            return path
    return _fetched(symbols, build_id) if build_id and symbols.servers else None


def _lying(symbols: Symbols, release: str, module: str, build_id: str) -> Iterator[Path]:
    for folder in symbols.folders:
        if build_id:
            yield folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
        if not _RELEASE.fullmatch(release):
            continue
        if module == KERNEL:
            yield from (folder / place.format(release) for place in _KERNELS)
        else:
            yield from _modules(folder, release, module)


def _modules(folder: Path, release: str, module: str) -> Iterator[Path]:
    """Yield the files of a module; those that have debug information alone come first."""
    wanted = module.replace("-", "_")
    names: list[Path] = []
    for place in _MODULES:
        looked = 0
        for root, _, files in os.walk(folder / place.format(release)):
            looked += len(files)
            for name in files:
                stem, _, ending = name.partition(".ko")
                if ending in ("", ".debug") and ".ko" in name and stem.replace("-", "_") == wanted:
                    names.append(Path(root, name))
            if looked > _MOST_FILES:
                break
    yield from sorted(names, key=lambda path: (not path.name.endswith(".debug"), path))


def make_room(kept: Path) -> int:
    """Forget the servers' files that were used longest ago, until another one fits. Return how long that may
    be: it leaves most of what is free to the records."""
    found: list[tuple[float, int, Path]] = []
    for path in kept.glob("*/*"):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append((max(state.st_atime, state.st_mtime), state.st_size, path.parent))
    total = 0
    for number, (_, size, folder) in enumerate(sorted(found, reverse=True)):
        total += size
        if total > KEPT - LARGEST or number >= MOST_KEPT:
            shutil.rmtree(folder, ignore_errors=True)
    return min(LARGEST, shutil.disk_usage(kept.parent).free // 4)


def _fetched(symbols: Symbols, build_id: str) -> Path | None:
    longest = make_room(symbols.kept)
    try:
        said = limited.run(
            ["debuginfod-find", "debuginfo", build_id],
            written=longest,
            patience_s=FETCH_S,
            env={
                "DEBUGINFOD_URLS": " ".join(symbols.servers),
                "DEBUGINFOD_CACHE_PATH": str(symbols.kept),
                "DEBUGINFOD_MAXSIZE": str(longest),
                "DEBUGINFOD_MAXTIME": str(int(FETCH_S)),
                "DEBUGINFOD_TIMEOUT": "60",
                "HOME": "/",
            },
        )
    except ReceiverError:
        # That it does not have it, and that it is away, are the same to elfutils.
        return None
    path = Path(os.fsdecode(said.strip()))
    return path if path.is_absolute() and path.is_file() else None
