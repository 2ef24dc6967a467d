# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of netconsole in, records out: the lines around a panic become one. Pure, like reassembly.

Of each sender the newest lines are remembered. When one tells of a panic they become the beginning of a
record, which ends when nothing was heard of the sender for a while.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from ..records.extents import Extents
from ..records.record import Instant, Record, Source, headerless
from ..wire.netconsole import Message, message_lines
from ..wire.v1 import MAX_TEXT

PANIC = b"Kernel panic - not syncing"
#: Bytes, what lines cost included: of one sender before its panic, in a record at most, of all together.
BEFORE, MOST, TOGETHER = 128 << 10, MAX_TEXT, 64 << 20
#: Messages that may be out of order, and pieces of messages that are incomplete, of each sender.
_REORDER, _PIECES = 512, 16
#: A longer message is none of the kernel's, whose lines have at most 1 KiB, and properties besides.
_LONGEST = 16 << 10
#: What a line costs beyond its bytes.
_LINE_COST = 150

_Sender = tuple[str, str]


@dataclass
class _Run:
    """One sender's lines: in the order of their sequence numbers where they have some."""

    source: Source
    began_ns: int
    heard: float
    release: str = ""
    #: (sequence or -1, line)
    lines: list[tuple[int, bytes]] = field(default_factory=list)
    seen: OrderedDict[int, None] = field(default_factory=OrderedDict)
    pieces: OrderedDict[int, tuple[int, Extents]] = field(default_factory=OrderedDict)
    size: int = 0
    panicked: bool = False


class NetconsoleRuns:
    """``feed`` and ``tick`` return the records to store; ``counts`` gets every drop."""

    def __init__(self, idle_s: float, counts: Counter[str]) -> None:
        self.idle_s = idle_s
        self._counts = counts
        self._size = 0
        self._runs: OrderedDict[_Sender, _Run] = OrderedDict()

    def feed(self, message: Message, source: Source, now: Instant) -> list[Record]:
        """Take one message; returns the records that had to make room."""
        sender = (source.mac or "", source.ip or "")
        run = self._runs.get(sender)
        if run is None:
            run = self._runs[sender] = _Run(source, now.wall_ns, now.mono)
        self._runs.move_to_end(sender)
        run.heard = now.mono
        run.release = message.release or run.release
        if message.sequence is None:
            self._add(run, -1, message.text)
        elif message.sequence in run.seen:
            self._counts["duplicate"] += 1
        else:
            self._piece(run, message.sequence, message)
        return self._make_room()

    def tick(self, now: Instant) -> list[Record]:
        """Returns the records of the senders of which nothing was heard for a while."""
        idle = [
            sender
            for sender, run in self._runs.items()
            if run.panicked and run.heard + self.idle_s <= now.mono
        ]
        return [record for sender in idle for record in self._end(sender)]

    def flush(self) -> list[Record]:
        """Returns everything that tells of a panic: the service stops."""
        return [record for sender in list(self._runs) for record in self._end(sender)]

    def _piece(self, run: _Run, sequence: int, message: Message) -> None:
        body = message.text
        if message.total > len(body) or message.offset:
            if message.total > _LONGEST:
                self._counts["netconsole messages incomplete"] += 1
                return
            total, pieces = run.pieces.setdefault(sequence, (message.total, Extents()))
            pieces.add(message.offset, body[: max(0, total - message.offset)])
            if pieces.covered < total:
                if len(run.pieces) > _PIECES:
                    run.pieces.popitem(last=False)
                    self._counts["netconsole messages incomplete"] += 1
                return
            del run.pieces[sequence]
            body = b"".join(bytes(data) for _, data in pieces)
        run.seen[sequence] = None
        if len(run.seen) > _REORDER:
            run.seen.popitem(last=False)
        self._add(run, sequence, message_lines(message.stamp, body))

    def _add(self, run: _Run, sequence: int, line: bytes) -> None:
        if run.panicked and run.size + len(line) > MOST:
            self._counts["netconsole text too long"] += 1
            return
        at = len(run.lines)
        # Late ones move up to their place; plain lines have none.
        while sequence >= 0 and at and len(run.lines) - at < _REORDER and run.lines[at - 1][0] > sequence:
            at -= 1
        run.lines.insert(at, (sequence, line))
        self._resize(run, len(line) + _LINE_COST)
        run.panicked = run.panicked or PANIC in line
        while not run.panicked and run.size > BEFORE:
            self._resize(run, -len(run.lines.pop(0)[1]) - _LINE_COST)

    def _resize(self, run: _Run, by: int) -> None:
        run.size += by
        self._size += by

    def _make_room(self) -> list[Record]:
        records: list[Record] = []
        while self._size > TOGETHER:
            self._counts["netconsole senders forgotten for room"] += 1
            records += self._end(next(iter(self._runs)))
        return records

    def _end(self, sender: _Sender) -> list[Record]:
        run = self._runs.pop(sender)
        self._size -= run.size
        return [_record(run)] if run.panicked else []


def _record(run: _Run) -> Record:
    text = _joined(run.lines)
    metadata = f"release={run.release}\n".encode() if run.release else b""
    # The same panic an hour later is another one, so the time is part of what identifies it.
    told = f"netconsole {run.source.mac} {run.source.ip} {run.began_ns}\n".encode()
    return headerless("netconsole", told + text, text, len(run.lines), run.began_ns, run.source, metadata)


def _joined(lines: list[tuple[int, bytes]]) -> bytes:
    """The text; where sequence numbers are missing, a line says so."""
    parts, expected = [], -1
    for sequence, line in lines:
        if 0 <= expected < sequence:
            parts.append(b"[panicast: %d messages missing]\n" % (sequence - expected))
        if sequence >= 0:
            expected = sequence + 1
        parts.append(line)
    return b"".join(parts)[:MAX_TEXT]
