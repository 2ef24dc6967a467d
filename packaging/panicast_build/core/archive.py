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


def write_tar(out: IO[bytes], files: Mapping[str, Path | bytes], *, mtime: int = 0, prefix: str = "") -> None:
    """Writes files (name -> path on this machine, or contents), sorted, owned by root, with one
    time.

    Of a mode only the executable bit is kept. Contents given as bytes are executable if they begin
    with "#!".
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(files):
            source = files[name]
            data = source if isinstance(source, bytes) else source.read_bytes()
            run = data.startswith(b"#!") if isinstance(source, bytes) else source.stat().st_mode & 0o100
            entry = tarfile.TarInfo(prefix + name)
            entry.size, entry.mtime, entry.mode = len(data), mtime, 0o755 if run else 0o644
            tar.addfile(entry, io.BytesIO(data))
