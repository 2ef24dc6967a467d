# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes tar archives whose bytes depend only on names, modes and contents."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO


def read_tree(top: Path) -> dict[str, Path]:
    """Returns the path of every file below top, by its path within it."""
    return {str(path.relative_to(top)): path for path in sorted(top.rglob("*")) if path.is_file()}


def read(source: Path | bytes) -> tuple[bytes, bool]:
    """Returns the contents of a file (its path on this machine, or its contents) and whether it is
    executable: contents are if they begin with "#!"."""
    if isinstance(source, bytes):
        return source, source.startswith(b"#!")
    return source.read_bytes(), bool(source.stat().st_mode & 0o100)


def write_tar(out: IO[bytes], files: Mapping[str, Path | bytes], *, mtime: int = 0, prefix: str = "") -> None:
    """Writes files (name -> path on this machine, or contents), sorted, owned by root, with one
    time.

    Of a mode only the executable bit is kept.
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(files):
            data, run = read(files[name])
            entry = tarfile.TarInfo(prefix + name)
            entry.size, entry.mtime, entry.mode = len(data), mtime, 0o755 if run else 0o644
            tar.addfile(entry, io.BytesIO(data))
