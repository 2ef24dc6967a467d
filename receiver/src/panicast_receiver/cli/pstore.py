# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads last words that firmware kept: files of a pstore directory, or of where systemd-pstore
moves them.

Parts are numbered from the end of the log: ``Panic#1 Part1`` is the newest. systemd-pstore also
writes the whole as dmesg.txt beside them.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from ..errors import ReceiverError
from ..records.extents import Run
from ..records.record import Record, Source
from ..wire.v1 import MAX_TEXT

_NAME = re.compile(r"dmesg-[\w-]+?-(\d+)(?:\.enc\.z)?$")
_HEADER = re.compile(rb"(Panic|Oops|Emergency|Shutdown|Unknown)#(\d{1,18}) Part(\d{1,18})\n?")


#: Folders below the one that is named: systemd-pstore makes two, a collector one for each host.
_DEPTH = 4
#: Bytes that a header has at most, compressed too.
_HEADER_BYTES = 256


class _File(NamedTuple):
    path: Path
    kind: str
    number: int
    part: int
    header: int
    time_ns: int


def read(folder: Path, host: str, failed: list[str]) -> Iterator[Record]:
    """Yield the records below ``folder``, each with the name of ``host``; add what is said of files
    that cannot be read to ``failed``. Raises ReceiverError.

    One text is in memory at a time: there may be any number of files, each of which expands a
    thousandfold.
    """
    if not folder.is_dir():
        raise ReceiverError(
            f"cannot read {folder}: {'it is not a folder' if folder.exists() else 'it does not exist'}"
        )
    groups: dict[tuple[str, str, int], list[_File]] = {}
    for path in sorted(_files(folder, failed)):
        with _noting(path, failed):
            file = _look(path)
            groups.setdefault((str(path.parent), file.kind, file.number), []).append(file)
    for (_, kind, _), group in groups.items():
        if kind in ("Panic", "Oops"):
            yield _record(kind.lower(), group, host, failed)


def _files(folder: Path, failed: list[str]) -> Iterator[Path]:
    """Yield what has a dump's name and is a file itself: a link may point to something that only
    root may read."""
    waiting = [(folder, _DEPTH)]
    while waiting:
        place, depth = waiting.pop()
        with _noting(place, failed), os.scandir(place) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting += [(Path(entry.path), depth - 1)] if depth else []
                elif entry.is_file(follow_symlinks=False) and _NAME.match(entry.name):
                    yield Path(entry.path)


@contextlib.contextmanager
def _noting(path: Path, failed: list[str]) -> Iterator[None]:
    """Note what is wrong with one file or folder, which keeps nobody from the others."""
    try:
        yield
    except OSError as error:
        failed.append(f"cannot read {path}: {error.strerror}")
    except zlib.error as error:
        failed.append(f"{path} is not deflated, although its name says so ({error})")


def _look(path: Path) -> _File:
    data, time_ns = _begin(path, _HEADER_BYTES)
    header = _HEADER.match(data)
    if header is None:
        return _File(path, "Panic", 0, 0, 0, time_ns)
    return _File(path, header[1].decode(), int(header[2]), int(header[3]), header.end(), time_ns)


def _begin(path: Path, most: int) -> tuple[bytes, int]:
    """Return the first bytes of a file, and its time. Raises OSError and zlib.error."""
    # A file may say that it is as large as the disk.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        data = file.read(most)
        # No clock was ever right before 1970, nor is one that is ahead of ours.
        time_ns = max(0, min(os.fstat(file.fileno()).st_mtime_ns, time.time_ns()))
    if path.name.endswith(".enc.z"):
        data = zlib.decompressobj(-15).decompress(data, most)
    return data, time_ns


def _record(kind: str, group: list[_File], host: str, failed: list[str]) -> Record:
    text = b""
    for file in sorted(group, key=lambda file: file.part):
        if len(text) < MAX_TEXT:
            with _noting(file.path, failed):
                text = _begin(file.path, MAX_TEXT)[0][file.header :] + text
    text = text[-MAX_TEXT:]
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
        time_ns=max(file.time_ns for file in group),
        received_ns=max(file.time_ns for file in group),
        text_length=len(text),
        metadata=b"",
        runs=(Run(0, text),) if text else (),
        source=Source(),
    )
