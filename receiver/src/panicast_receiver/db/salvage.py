# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what a damaged database still holds, page by page without SQLite.

SQLite finds a row by the pages above it. If one of those is damaged, SQLite loses everything below
it, although it is still there. Here each leaf page of a table is examined by itself
(https://sqlite.org/fileformat2.html). A row is a record's if its id is the digest of its identity.
"""

from __future__ import annotations

import contextlib
import mmap
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ReceiverError
from ..records.record import id_of
from . import damage, schema

_MAGIC = b"SQLite format 3\0"
_PAGE_SIZE = 4096
#: A page's type: a leaf of a table. Where the first page's own content begins.
_LEAF, _FIRST = 0x0D, 100
#: More columns or bytes than a row of ours can have: what claims them is no row.
_MOST_COLUMNS, _MOST_BYTES = 200, 64 << 20
#: The bytes of an integer by its serial type.
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_Row = dict[str, Any]
#: What a record is not made of without.
_KINDS: dict[type, Sequence[str]] = {
    bytes: ("identity", "body"),
    str: ("id", "format", "type", "host", "header_host", "gaps"),
    int: ("flags", "frames", "received_ns", "text_length"),
}
#: What it may lack: where the disk has made something else of that, the column's default stands.
_MAY_LACK: dict[type, Sequence[str]] = {
    bytes: ("boot_id", "metadata"),
    str: ("source_mac", "source_ip", "source_iface"),
    int: ("event", "time_ns", "restored"),
}


def rows(path: Path) -> Iterator[_Row]:
    """Return every readable row of ``records`` that was not deleted. Raises ReceiverError.

    If the log is intact, its pages come before the file's.
    """
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    columns, forgotten = _columns(), _forgotten(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for values in _Pages(data).rows():
                row: _Row = {**columns, **dict(zip(columns, values))}
                for kind, names in _MAY_LACK.items():
                    row.update((name, columns[name]) for name in names if not isinstance(row[name], kind))
                if _is_record(row) and row["identity"] not in forgotten:
                    yield row if len(values) >= len(columns) else _as_of_now(row)
    except (OSError, ValueError) as error:
        # ValueError: the file is empty.
        raise ReceiverError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, factory=damage.Connection)


def _columns() -> dict[str, Any]:
    """Return the names of a row's values, with defaults for columns that the row's version lacks:
    new columns only ever come last."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema.SCHEMA)
        found = connection.execute("PRAGMA table_info(records)").fetchall()
    return {name: None if default is None else int(default) for _, name, _, _, default, _ in found}


def _as_of_now(row: _Row) -> _Row:
    """Return a row of an older version under the identity that this version gives it."""
    if row["format"] != "v1" or not isinstance(row["boot_id"], bytes):
        return row
    names = ("type", "flags", "boot_id", "event", "frames", "text_length", "time_ns", "header_host")
    return {**row, "identity": schema.v1_identity(*(row[name] for name in names))}


def _forgotten(path: Path) -> set[bytes]:
    found: set[bytes] = set()
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(path)) as connection:
        for (identity,) in connection.execute("SELECT identity FROM forgotten"):
            found.add(identity)
    return found


def _is_record(row: _Row) -> bool:
    if not all(isinstance(row[name], kind) for kind, names in _KINDS.items() for name in names):
        return False
    # A row of another table may look like one: names in it come from the network.
    return bool(row["id"] == id_of(row["identity"]))


class _Pages:
    """The pages of a file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._size, reserved = _PAGE_SIZE, 0
        sound = data[: len(_MAGIC)] == _MAGIC and len(data) >= _FIRST
        if sound:
            (size,) = struct.unpack_from(">H", data, 16)
            self._size = 65536 if size == 1 else size if size >= 512 and not size & (size - 1) else _PAGE_SIZE
            reserved = data[20]
        self._usable = self._size - reserved
        self._count = len(data) // self._size
        self._free = self._free_pages() if sound else set[int]()

    def rows(self) -> Iterator[list[Any]]:
        """Return the values of each row of every table."""
        for number in range(1, self._count + 1):
            if number in self._free:
                continue
            start = (number - 1) * self._size
            page = self._data[start : start + self._size]
            head = _FIRST if number == 1 else 0
            if page[head] != _LEAF:
                continue
            cells = min(int.from_bytes(page[head + 3 : head + 5], "big"), self._size // 4)
            for place in range(head + 8, head + 8 + 2 * cells, 2):
                # Whatever is wrong with one cell, the next one may be right.
                with contextlib.suppress(ValueError, IndexError, struct.error):
                    yield _values(self._payload(page, int.from_bytes(page[place : place + 2], "big")))

    def _free_pages(self) -> set[int]:
        """Return the pages that hold nothing any more: deleted rows can still be read there."""
        free: set[int] = set()
        (trunk,) = struct.unpack_from(">I", self._data, 32)
        while 0 < trunk <= self._count and trunk not in free:
            free.add(trunk)
            start = (trunk - 1) * self._size
            trunk, leaves = struct.unpack_from(">II", self._data, start)
            leaves = min(leaves, self._size // 4 - 2)
            free.update(struct.unpack_from(f">{leaves}I", self._data, start + 8))
        return free

    def _payload(self, page: bytes, at: int) -> bytes:
        """Return a cell's content, with what is on other pages as far as that chain can be
        followed."""
        length, at = _varint(page, at)
        _, at = _varint(page, at)
        if length > _MOST_BYTES:
            raise ValueError(length)
        most = self._usable - 35
        if length <= most:
            return page[at : at + length]
        least = (self._usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (self._usable - 4)
        local = local if local <= most else least
        parts = [page[at : at + local]]
        (following,) = struct.unpack_from(">I", page, at + local)
        missing = length - local
        while missing > 0 and 0 < following <= self._count:
            start = (following - 1) * self._size
            (following,) = struct.unpack_from(">I", self._data, start)
            parts.append(self._data[start + 4 : start + 4 + min(missing, self._usable - 4)])
            missing -= len(parts[-1])
        return b"".join(parts)


def _values(payload: bytes) -> list[Any]:
    """Return the values of a row; of one that is cut short, what there is."""
    size, at = _varint(payload, 0)
    kinds = []
    while at < size:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != size or len(kinds) > _MOST_COLUMNS:
        raise ValueError("no row")
    values: list[Any] = []
    for kind in kinds:
        value, length = _value(kind, payload, at)
        values.append(value)
        at += length
    return values


def _value(kind: int, payload: bytes, at: int) -> tuple[Any, int]:
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), 0
    if kind in _INTEGERS:
        length = _INTEGERS[kind]
        return int.from_bytes(payload[at : at + length], "big", signed=True), length
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], 8
    if kind < 12:
        raise ValueError(kind)
    length = (kind - 12) // 2
    content = payload[at : at + length]
    return (content.decode() if kind & 1 else content), length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of one to nine bytes, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9
