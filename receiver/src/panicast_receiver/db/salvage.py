# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what a damaged database still holds, page by page without SQLite.

SQLite finds a row by the pages above it. If one of those is damaged, SQLite loses everything below
it, although it is still there. Here each leaf page of a table is examined by itself
(https://sqlite.org/fileformat2.html). A row is a record's, or a hello's, if its id is the digest of its
identity. What a row of which version has is told by how many values it has.
"""

from __future__ import annotations

import contextlib
import mmap
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ReceiverError
from ..records.record import id_of
from . import damage, greetings, groups, migration, schema

#: How a compressed text begins (RFC 8878).
_ZSTD = b"\x28\xb5\x2f\xfd"
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
    bytes: ("identity",),
    str: ("id", "format", "type", "host", "header_host", "gaps"),
    int: ("flags", "frames", "received_ns", "text_length"),
}
#: What it may lack: where the disk has made something else of that, the column's default stands.
_MAY_LACK: dict[type, Sequence[str]] = {
    bytes: ("boot_id", "metadata", "body"),
    str: ("source_mac", "source_ip", "source_iface"),
    int: ("event", "time_ns", "restored"),
}


def rows(path: Path) -> Iterator[_Row]:
    """Return every readable record, hello and bye that was not deleted, as a row with its text. Raises
    ReceiverError.

    If the log is intact, its pages come before the file's.
    """
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shapes, forgotten = _Shapes(), _forgotten(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            pages = _Pages(data)
            with contextlib.closing(_Bodies(pages)) as texts:
                for cell in pages.cells():
                    row = shapes.row(cell.values)
                    if not _is_record(row) or row["identity"] in forgotten:
                        continue
                    if shapes.is_older(cell.values):
                        yield _as_of_now(row)
                    else:
                        yield {**row, "body": texts.of(cell.number)}
    except (OSError, ValueError) as error:
        # ValueError: the file is empty.
        raise ReceiverError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def decided(path: Path) -> groups.Decided:
    """Return what was decided about groups, as far as SQLite can read it."""
    return groups.Decided(
        _readable(path, "SELECT signature, state, by, since_ns, moment_ns, kernels FROM group_states"),
        _readable(path, f"SELECT {groups.CHANGE} FROM group_changes ORDER BY number"),
    )


def _readable(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows up to the first that cannot be read; none where somebody has put a view, which
    may have rows without end."""
    found: list[tuple[Any, ...]] = []
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError), contextlib.closing(_opened(path)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'view'").fetchone():
            return found
        for row in db.execute(sql):
            found.append(tuple(row))
    return found


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, factory=damage.Connection)


class _Shapes:
    """The names of a row's values, by how many it has."""

    def __init__(self) -> None:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(schema.SCHEMA)
            records, hellos = (
                connection.execute(f"PRAGMA table_info({table})").fetchall()
                for table in ("records", "greetings")
            )
        defaults = {name: None if default is None else int(default) for _, name, _, _, default, _ in records}
        #: All that a row of a record has, with what it has by default.
        self._row: _Row = {**defaults, "body": None}
        self._records, self._greetings = tuple(defaults), tuple(name for _, name, *_ in hellos)

    def is_older(self, values: Sequence[Any]) -> bool:
        """Tell whether these are the values of a record of an older version."""
        return len(values) <= len(migration.COLUMNS_2) and len(values) != len(self._greetings)

    def row(self, values: Sequence[Any]) -> _Row:
        """Return these values as a row of a record; of what is none, something that is none."""
        if len(values) == len(self._greetings):
            found = {**self._row, **greetings.CONSTANTS, **dict(zip(self._greetings, values))}
        elif self.is_older(values):
            found = {**self._row, **dict(zip(migration.COLUMNS_2, values))}
        else:
            found = {**self._row, **dict(zip(self._records, values))}
        for kind, names in _MAY_LACK.items():
            found.update((name, self._row[name]) for name in names if not isinstance(found[name], kind))
        return found


def _as_of_now(row: _Row) -> _Row:
    """Return a row of an older version under the identity that this version gives it."""
    if row["format"] != "v1" or not isinstance(row["boot_id"], bytes):
        return row
    names = (
        "identity",
        "type",
        "flags",
        "boot_id",
        "event",
        "frames",
        "text_length",
        "time_ns",
        "header_host",
    )
    return {**row, "identity": migration.v1_identity(*(row[name] for name in names))}


def _forgotten(path: Path) -> set[bytes]:
    return {identity for (identity,) in _readable(path, "SELECT identity FROM forgotten")}


def _is_record(row: _Row) -> bool:
    if not all(isinstance(row[name], kind) for kind, names in _KINDS.items() for name in names):
        return False
    # A row of another table may look like one: names in it come from the network.
    return bool(row["id"] == id_of(row["identity"]))


class _Cell(NamedTuple):
    """A row: its number in its table, where it is in the file, its values."""

    number: int
    place: int
    values: list[Any]


class _Bodies:
    """Where the texts are, by their records' numbers. There may be more than memory should hold, so SQLite
    keeps that in a file of its own, without a name."""

    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._places = sqlite3.connect("")
        self._places.execute("CREATE TABLE places (number INTEGER PRIMARY KEY, place INTEGER)")
        found = ((cell.number, cell.place) for cell in pages.cells() if _is_body(cell.values))
        self._places.executemany("INSERT OR REPLACE INTO places VALUES (?, ?)", found)

    def of(self, number: int) -> bytes | None:
        """Return the compressed text of a record; None if it is lost."""
        row = self._places.execute("SELECT place FROM places WHERE number = ?", (number,)).fetchone()
        return bytes(self._pages.values_at(row[0])[1]) if row else None

    def close(self) -> None:
        """Forget it all."""
        self._places.close()


def _is_body(values: Sequence[Any]) -> bool:
    # The number itself stands elsewhere; the index of words has rows like that too.
    text = values[1] if len(values) == 2 and values[0] is None else None
    return isinstance(text, bytes) and text.startswith(_ZSTD)


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

    def cells(self) -> Iterator[_Cell]:
        """Return each row of every table."""
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
                    at = int.from_bytes(page[place : place + 2], "big")
                    row_id, payload = self._payload(page, at)
                    yield _Cell(row_id, start + at, _values(payload))

    def values_at(self, place: int) -> list[Any]:
        """Return the values of the row at this place of the file."""
        start = place // self._size * self._size
        return _values(self._payload(self._data[start : start + self._size], place - start)[1])

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

    def _payload(self, page: bytes, at: int) -> tuple[int, bytes]:
        """Return a cell's number and content, with what is on other pages as far as that chain can be
        followed."""
        length, at = _varint(page, at)
        row_id, at = _varint(page, at)
        if length > _MOST_BYTES:
            raise ValueError(length)
        most = self._usable - 35
        if length <= most:
            return row_id, page[at : at + length]
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
        return row_id, b"".join(parts)


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
