# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads last words that firmware kept: files of a pstore directory, or of where systemd-pstore
moves them.

Parts are numbered from the end of the log: ``Panic#1 Part1`` is the newest. systemd-pstore also
writes the whole as dmesg.txt beside them.
"""

from __future__ import annotations

import os
import re
import stat
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ..errors import ReceiverError
from ..records.extents import Run
from ..records.record import Record, Source
from ..wire.v1 import MAX_TEXT

_NAME = re.compile(r"dmesg-[\w-]+?-(\d+)(?:\.enc\.z)?$")
_HEADER = re.compile(rb"(Panic|Oops|Emergency|Shutdown|Unknown)#(\d+) Part(\d+)\n?")


@dataclass(frozen=True)
class _Part:
    kind: str
    count: int
    part: int
    text: bytes
    time_ns: int


def read(folder: Path, host: str) -> Iterator[Record]:
    """Return the records below ``folder``, each with the name of ``host``. Raises ReceiverError."""
    if not folder.is_dir():
        raise ReceiverError(
            f"cannot read {folder}: {'it is not a folder' if folder.exists() else 'it does not exist'}"
        )
    try:
        files = sorted(path for path in folder.rglob("dmesg-*") if _NAME.match(path.name) and _is_file(path))
        parts = [part for path in files if (part := _read_part(path))]
    except OSError as error:
        raise ReceiverError(f"cannot read {error.filename or folder}: {error.strerror}") from error
    groups: dict[tuple[str, str, int], list[_Part]] = {}
    for path, part in zip(files, parts):
        groups.setdefault((str(path.parent), part.kind, part.count), []).append(part)
    for (_, kind, _), group in groups.items():
        if kind in ("Panic", "Oops"):
            yield _record(kind.lower(), group, host)


def _is_file(path: Path) -> bool:
    """Tell whether this is a file itself: a link may point to something that only root may read."""
    return stat.S_ISREG(path.lstat().st_mode)


def _read_part(path: Path) -> _Part:
    # A file may say that it is as large as the disk.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        data = file.read(MAX_TEXT)
        time_ns = min(os.fstat(file.fileno()).st_mtime_ns, time.time_ns())
    if path.name.endswith(".enc.z"):
        try:
            data = zlib.decompressobj(-15).decompress(data, MAX_TEXT)
        except zlib.error as error:
            raise ReceiverError(f"{path} is not deflated, although its name says so ({error})") from error
    header = _HEADER.match(data)
    kind, count, part = (header[1].decode(), int(header[2]), int(header[3])) if header else ("Panic", 0, 0)
    return _Part(kind, count, part, data[header.end() if header else 0 :], time_ns)


def _record(kind: str, group: list[_Part], host: str) -> Record:
    ordered = sorted(group, key=lambda part: part.part, reverse=True)
    text = b"".join(part.text for part in ordered)[-MAX_TEXT:]
    return Record(
        # The same file twice is the same record.
        identity=blake2b(b"pstore" + host.encode() + b"\0" + text, digest_size=20).digest(),
        format="pstore",
        type=kind,
        header_host=host,
        boot_id=None,
        event=None,
        flags=0,
        frames=len(group),
        time_ns=max(part.time_ns for part in group),
        received_ns=max(part.time_ns for part in group),
        text_length=len(text),
        metadata=b"",
        runs=(Run(0, text),) if text else (),
        source=Source(),
    )
