# SPDX-License-Identifier: GPL-2.0-or-later
"""A record as the values of a row, and back. Pure."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from ..compressed import expand
from ..records.extents import Run
from ..records.record import Record, Source
from ..wire.v1 import MAX_TEXT

_U64 = 1 << 64
#: What a value may be, and what stands for it where the disk has made something else of it: one bit makes
#: text of bytes, and a fraction of a whole number.
_KINDS: Mapping[str, tuple[tuple[type, ...], Any]] = {
    "identity": ((bytes,), b""),
    **dict.fromkeys(("boot_id", "metadata"), ((bytes, type(None)), None)),
    **dict.fromkeys(("event", "time_ns"), ((int, type(None)), None)),
    **dict.fromkeys(("flags", "frames", "restored", "received_ns", "text_length"), ((int,), 0)),
}


def to_signed(value: int | None) -> int | None:
    """Convert the wire's unsigned 64-bit time to two's complement, because SQLite's integers are
    signed."""
    return value - _U64 if value is not None and value >= _U64 >> 1 else value


def from_signed(value: int | None) -> int | None:
    """Undo to_signed."""
    return value + _U64 if value is not None and value < 0 else value


def unpack_body(body: bytes, gaps: Sequence[Sequence[int]], text_length: int) -> tuple[Run, ...]:
    """Return the runs of a stored text: its bytes, placed around the gaps; none if the disk has
    corrupted them."""
    try:
        data = expand(body, min(text_length, MAX_TEXT))
    except (ValueError, TypeError):
        return ()
    return placed(data, gaps, text_length)


def placed(data: bytes, gaps: Sequence[Sequence[int]], text_length: int) -> tuple[Run, ...]:
    """Return the bytes that arrived of a text, placed around its gaps."""
    runs, position, used = [], 0, 0
    for offset, length in [*gaps, (text_length, 0)]:
        if offset > position:
            runs.append(Run(position, data[used : used + offset - position]))
            used += offset - position
        position = offset + length
    return tuple(runs)


def parse_gaps(text: str, text_length: int) -> list[list[int]]:
    """Return what is missing of a stored text, as [offset, length]; everything if the disk has
    corrupted that."""
    if text == "[]":
        return []
    try:
        found = json.loads(text)
        end = 0
        for offset, length in found:
            if not end <= offset < offset + length <= text_length:
                raise ValueError(found)
            end = offset + length
    except (ValueError, TypeError, RecursionError):
        return [[0, text_length]] if text_length else []
    return list(found)


def mended(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in which each value is of its kind: what the disk has changed must keep nobody from the
    other rows."""
    found = dict(row)
    for name, (kinds, otherwise) in _KINDS.items():
        if name in found and not isinstance(found[name], kinds):
            found[name] = otherwise
    return found


def row_to_record(row: Mapping[str, Any] | sqlite3.Row) -> Record:
    """Return a whole row as the record that it was made from; a raw record's host is not part of a
    Record."""
    return Record(
        identity=row["identity"],
        format=row["format"],
        type=row["type"],
        header_host=row["header_host"],
        boot_id=row["boot_id"],
        event=row["event"],
        flags=row["flags"],
        frames=row["frames"],
        time_ns=from_signed(row["time_ns"]),
        received_ns=row["received_ns"],
        text_length=row["text_length"],
        metadata=row["metadata"],
        runs=unpack_body(row["body"], parse_gaps(row["gaps"], row["text_length"]), row["text_length"]),
        source=Source(row["source_mac"], row["source_ip"], row["source_iface"]),
        restored=row["restored"],
    )
