# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes netconsole's messages and returns records: the lines around a panic become one. Pure, like
reassembly.

The newest lines of each sender are remembered. A line of a panic makes them the beginning of a
record, which ends when the sender is silent for a while. Then messages with missing fragments end
too; the fragments that came are kept.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from ..records.extents import Extents
from ..records.record import LOST_MESSAGES, Instant, Record, Source, headerless
from ..wire.netconsole import Message, take_apart
from ..wire.v1 import MAX_TEXT

PANIC = b"Kernel panic - not syncing"
#: Limits in bytes, all costs included: one sender's lines before its panic, a record, all senders
#: together.
BEFORE, MOST, TOGETHER = 128 << 10, MAX_TEXT, 64 << 20
#: For each sender: messages that may be out of order, and incomplete messages.
_REORDER, _MOST_FRAGMENTED = 512, 16
#: The kernel sends no longer message: it has at most 1 KiB of text and 64 KiB of additions.
_LONGEST = 72 << 10
#: What a sender, a line, a fragment and a remembered sequence number cost beyond their bytes.
_RUN_COST, _LINE_COST, _PIECE_COST, _SEEN_COST = 2500, 150, 250, 130
#: Limits of a record's facts: their number, and the characters of a value.
_MOST_FACTS, _MOST_VALUE = 300, 256
#: When room is needed, senders with no more lines than this go first: made-up ones are among them.
_FEW = 3
_MSGIDS = 1 << 32

_Sender = tuple[str, str]


class _Line(NamedTuple):
    """A message's lines; ``sequence`` and ``msgid`` are -1 if it states none."""

    sequence: int
    msgid: int
    text: bytes


class _Fragments(NamedTuple):
    """A message with missing fragments."""

    stamp: bytes
    total: int
    text: Extents


@dataclass
class _Run:
    """One sender's lines, in the order of their sequence numbers if they have some."""

    source: Source
    began_ns: int
    heard: float
    messages: int = 0
    lines: list[_Line] = field(default_factory=list)
    seen: OrderedDict[int, None] = field(default_factory=OrderedDict)
    fragments: OrderedDict[int, _Fragments] = field(default_factory=OrderedDict)
    facts: dict[str, str] = field(default_factory=dict)
    #: Bytes of all of it, and of the lines.
    size: int = _RUN_COST
    lines_size: int = 0
    cut: int = 0
    panicked: bool = False


class NetconsoleRuns:
    """``feed`` and ``tick`` return the records to store; ``counts`` gets every drop."""

    def __init__(self, idle_s: float, counts: Counter[str]) -> None:
        self.idle_s = idle_s
        self._counts = counts
        self._size = 0
        #: In the order in which they were heard: senders that said little yet, and the others.
        self._new: OrderedDict[_Sender, _Run] = OrderedDict()
        self._known: OrderedDict[_Sender, _Run] = OrderedDict()
        #: Senders of which a record, or a message's fragments, have not ended.
        self._waiting: dict[_Sender, _Run] = {}

    def feed(self, message: Message, source: Source, now: Instant) -> list[Record]:
        """Take one message; return the records that had to make room."""
        sender = (source.mac or "", source.ip or "")
        run = self._new.pop(sender, None) or self._known.pop(sender, None)
        if run is None:
            run = _Run(source, now.wall_ns, now.mono)
            self._size += run.size
        run.messages += 1
        (self._new if run.messages <= _FEW and not run.panicked else self._known)[sender] = run
        run.heard = now.mono
        if message.release:
            self._learn(run, {"release": message.release})
        if message.sequence is None:
            self._add(run, _Line(-1, -1, message.text))
        elif message.sequence in run.seen:
            self._counts["duplicate"] += 1
        else:
            self._piece(run, message.sequence, message)
        if run.panicked or run.fragments:
            self._waiting[sender] = run
        return self._make_room()

    def tick(self, now: Instant) -> list[Record]:
        """Return the records of the senders that were silent for a while."""
        records: list[Record] = []
        for sender, run in list(self._waiting.items()):
            if run.heard + self.idle_s > now.mono:
                continue
            self._end_pieces(run)
            if run.panicked:
                records += self._end(sender)
            else:
                del self._waiting[sender]
        return records

    def flush(self) -> list[Record]:
        """Return everything that reports a panic, because the service stops."""
        return [record for sender in [*self._new, *self._known] for record in self._end(sender)]

    def _piece(self, run: _Run, sequence: int, message: Message) -> None:
        body = message.text
        if message.total > len(body) or message.offset:
            if message.total > _LONGEST:
                self._counts["netconsole messages incomplete"] += 1
                return
            fragments = run.fragments.get(sequence)
            before = _cost(fragments) if fragments else 0
            if fragments is None:
                fragments = run.fragments[sequence] = _Fragments(message.stamp, message.total, Extents())
            fragments.text.add(message.offset, body[: max(0, fragments.total - message.offset)])
            self._resize(run, _cost(fragments) - before)
            if fragments.text.covered < fragments.total:
                if len(run.fragments) > _MOST_FRAGMENTED:
                    self._end_message(run, next(iter(run.fragments)))
                return
            self._resize(run, -_cost(run.fragments.pop(sequence)))
            body = b"".join(bytes(data) for _, data in fragments.text)
        self._whole(run, sequence, message.stamp, body)

    def _whole(self, run: _Run, sequence: int, stamp: bytes, body: bytes) -> None:
        run.seen[sequence] = None
        self._resize(run, _SEEN_COST)
        if len(run.seen) > _REORDER:
            run.seen.popitem(last=False)
            self._resize(run, -_SEEN_COST)
        text, facts = take_apart(stamp, body)
        msgid = facts.get("msgid", "")
        # The message that tells of the panic has the last word.
        self._learn(run, facts if not run.panicked else {**facts, **run.facts})
        known = msgid.isascii() and msgid.isdigit() and len(msgid) < 11
        self._add(run, _Line(sequence, int(msgid) if known else -1, text))

    def _end_pieces(self, run: _Run) -> None:
        while run.fragments:
            self._end_message(run, next(iter(run.fragments)))

    def _end_message(self, run: _Run, sequence: int) -> None:
        """Keep what arrived of a message; a mark replaces the rest."""
        fragments = run.fragments.pop(sequence)
        self._resize(run, -_cost(fragments))
        self._counts["netconsole messages incomplete"] += 1
        run.cut += 1
        parts, end = [], 0
        for offset, data in fragments.text:
            parts += [_missing(offset - end), bytes(data)]
            end = offset + len(data)
        self._whole(run, sequence, fragments.stamp, b"".join([*parts, _missing(fragments.total - end)]))

    def _learn(self, run: _Run, facts: dict[str, str]) -> None:
        for key, value in facts.items():
            if key == LOST_MESSAGES or (key not in run.facts and len(run.facts) >= _MOST_FACTS):
                continue
            before = len(run.facts[key]) if key in run.facts else -len(key) - _LINE_COST
            run.facts[key] = value[:_MOST_VALUE]
            self._resize(run, len(run.facts[key]) - before)

    def _add(self, run: _Run, line: _Line) -> None:
        if run.panicked and run.lines_size + len(line.text) > MOST:
            self._counts["netconsole text too long"] += 1
            return
        at = len(run.lines)
        # Late ones move up to their place; plain lines have none.
        while line.sequence >= 0 and at and len(run.lines) - at < _REORDER:
            if run.lines[at - 1].sequence <= line.sequence:
                break
            at -= 1
        run.lines.insert(at, line)
        self._resize_lines(run, len(line.text) + _LINE_COST)
        run.panicked = run.panicked or PANIC in line.text
        while not run.panicked and run.lines_size > BEFORE:
            self._resize_lines(run, -len(run.lines.pop(0).text) - _LINE_COST)

    def _resize_lines(self, run: _Run, by: int) -> None:
        run.lines_size += by
        self._resize(run, by)

    def _resize(self, run: _Run, by: int) -> None:
        run.size += by
        self._size += by

    def _make_room(self) -> list[Record]:
        records: list[Record] = []
        while self._size > TOGETHER:
            self._counts["netconsole senders forgotten for room"] += 1
            records += self._end(next(iter(self._new or self._known)))
        return records

    def _end(self, sender: _Sender) -> list[Record]:
        run = self._new.pop(sender, None) or self._known.pop(sender)
        self._waiting.pop(sender, None)
        self._end_pieces(run)
        self._size -= run.size
        return [_record(run)] if run.panicked else []


def _cost(fragments: _Fragments) -> int:
    return fragments.text.covered + _PIECE_COST * max(1, len(fragments.text))


def _missing(size: int) -> bytes:
    return b"[panicast: %d bytes missing]" % size if size else b""


def _record(run: _Run) -> Record:
    text, lost = _joined(run.lines)
    facts = {**run.facts, **({LOST_MESSAGES: str(lost + run.cut)} if lost + run.cut else {})}
    metadata = "".join(f"{key}={value}\n" for key, value in facts.items()).encode()
    # The same panic an hour later is another one, so the time is part of what identifies it.
    told = f"netconsole {run.source.mac} {run.source.ip} {run.began_ns}\n".encode()
    return headerless("netconsole", told + text, text, len(run.lines), run.began_ns, run.source, metadata)


def _joined(lines: list[_Line]) -> tuple[bytes, int]:
    """Return the text and how many messages are missing; a line in it says where."""
    parts: list[bytes] = []
    lost = 0
    last: _Line | None = None
    for line in lines:
        missing = _between(last, line) if last and line.sequence >= 0 else 0
        if missing:
            parts.append(b"[panicast: %d messages missing]\n" % missing)
            lost += missing
        if line.sequence >= 0:
            last = line
        parts.append(line.text)
    return b"".join(parts)[:MAX_TEXT], lost


def _between(one: _Line, other: _Line) -> int:
    """Return how many messages were sent between two lines and did not arrive.

    The kernel numbers the messages that it sends (msgid) only if asked to. The numbers of its log
    (sequence) also count messages that the console's level kept back.
    """
    if one.msgid >= 0 and other.msgid >= 0:
        step = (other.msgid - one.msgid) % _MSGIDS
        return step - 1 if 0 < step < _MSGIDS >> 1 else 0
    return max(0, other.sequence - one.sequence - 1)
