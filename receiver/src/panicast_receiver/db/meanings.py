# SPDX-License-Identifier: GPL-2.0-or-later
"""Which records wait for their meaning, and what the analysis found. Another room does the
analysis.

A text may be crafted to harm its reader. So each try is written down before it begins, and a text
that was begun twice and never finished is not tried again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union

from ..log import logger
from ..meaning import VERSION as ALGORITHM
from ..meaning import Meaning
from ..records.record import Record
from ..text import escape, shorten
from . import bodies, changes, groups, keys, places, queueing, rows, schema, tallies, words
from .named import NamedFile
from .packing import row_to_record
from .writing import transaction

#: Types of which the text tells of a crash.
CRASHES = ("panic", "oops")
#: How often a record is begun at most.
MOST_TRIES = 2
#: Seconds for which whoever follows the records waits for a meaning before it tells them without; what is
#: understood later counts as a change, so that it is told too.
PATIENCE_S = 1.5
#: Seconds that a commit may take.
_COMMIT_S = 0.5
#: Bytes of a title.
LONGEST_TITLE = 512
#: By its own index, which SQLite would not choose: else each look reads and sorts all that wait, and keeps
#: the others from writing meanwhile.
_QUEUE = "records INDEXED BY records_to_explain"
_WAITING = (
    f"SELECT {bodies.WHOLE} FROM {_QUEUE} WHERE signature IS NULL AND tries >= ? "
    "ORDER BY tries, turn, changed LIMIT ?"
)
_GIVE_UP = (
    f"UPDATE {_QUEUE} SET signature = '', failure = ?, indexed = {words.NEVER} "
    "WHERE signature IS NULL AND tries >= ?"
)
#: Bytes of texts whose meanings are stored in one transaction, some milliseconds: the larger, the less the
#: index of words has to merge.
_PORTION = 512 << 10
#: The columns that say what a text means.
_MEANING = ("title", "signature", "kernel", "crash", "failure")
#: The record that a task is about, if it is still the same.
_SAME = "number = ? AND changed = ?"
#: Of so many times to begin, one is for what was begun before.
_AGAIN_EVERY = 8
_NEVER_ENDED = "whoever looked at it was ended, twice"


class Task(NamedTuple):
    """A record that waits: its whole row, and the record that it was made from; of a crash ``text`` with
    its gaps marked, and the ``reason`` that the sender states."""

    row: sqlite3.Row
    record: Record
    text: bytes
    reason: str

    @property
    def id(self) -> str:
        """Return the record's short id."""
        return str(self.row["id"])

    @property
    def type(self) -> str:
        """Return the record's type."""
        return self.record.type

    @property
    def identity(self) -> bytes:
        """Return the record's identity."""
        return bytes(self.row["identity"])

    @property
    def key(self) -> tuple[int, int]:
        """Return number and change: who grows has another change."""
        return self.row["number"], self.row["changed"]


class Known(NamedTuple):
    """A record that another version of the algorithm has named."""

    task: Task
    signature: str
    title: str


#: A meaning, or why there is none.
Found = Union[Meaning, str]


class Meanings:
    """Reads and writes the meanings in the database, by a connection of its own. Raises
    sqlite3.Error."""

    def __init__(self, path: Path, located: bool = False, seals: Callable[[], bool] = lambda: False) -> None:
        """``located`` says that somebody finds file and line of crashes: else nobody needs their code;
        ``seals`` that hosts seal, see groups.seen()."""
        self._path, self._named = path, NamedFile(path)
        self._located = located
        self._seals = seals
        # What a power cut loses of them is found again.
        self._db = schema.open_writer(path, lasting=False)
        self._db.row_factory = sqlite3.Row
        self._begun = 0

    def replaced(self) -> bool:
        """Tell whether another file has the database's name now, or none."""
        return self._named.changed()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def waiting(self) -> bool:
        """Tell whether a record waits."""
        return bool(self._db.execute("SELECT 1 FROM records WHERE signature IS NULL LIMIT 1").fetchone())

    def urgent(self) -> bool:
        """Tell whether a record waits that people hear of at once."""
        found = self._db.execute(
            "SELECT 1 FROM records WHERE signature IS NULL AND tries = 0 "
            f"AND turn = {queueing.AT_ONCE} LIMIT 1"
        )
        return found.fetchone() is not None

    def begin(self, most: int) -> list[Task]:
        """Return the records that have waited longest, at most ``most``. When this returns, it
        is noted that they are tried, whatever ends this process.

        A record that was begun before and not finished comes alone: if something fails again, it is
        the cause.
        """
        self._begun += 1
        least = 0 if self._begun % _AGAIN_EVERY else 1
        # Even if a text takes down the machine.
        with schema.lasting(self._db), transaction(self._db) as db:
            db.execute(_GIVE_UP, (_NEVER_ENDED, MOST_TRIES))
            found = (
                db.execute(_WAITING, (least, most)).fetchall() or db.execute(_WAITING, (0, most)).fetchall()
            )
            found = [row for row in found if not row["tries"]] or found[:1]
            for row in found:
                db.execute("UPDATE records SET tries = tries + 1 WHERE number = ?", (row["number"],))
        tasks, unreadable = [], []
        for row in found:
            try:
                tasks.append(_task(row))
            # Whatever the disk has made of it: it must not keep the others from being looked at.
            except Exception as error:
                why = f"it cannot be read: {type(error).__name__}: {error}"
                unreadable.append((why, words.NEVER, row["number"], row["changed"]))
        if unreadable:
            with transaction(self._db) as db:
                db.executemany(
                    f"UPDATE records SET signature = '', failure = ?, indexed = ? WHERE {_SAME}",
                    unreadable,
                )
        return tasks

    def end(self, found: Sequence[tuple[Task, Found]], untried: Sequence[Task] = ()) -> None:
        """Store what was found; ``untried`` were begun and never analysed. A record that has grown
        meanwhile waits again."""
        if untried:
            with transaction(self._db) as db:
                db.executemany(
                    f"UPDATE records SET tries = tries - 1 WHERE {_SAME}", [task.key for task in untried]
                )
        for some in _portions(found):
            added = self._end(some)
            for _ in range(words.merges(added)):
                if not self.merge():
                    break
            self.fold()

    def _end(self, found: Sequence[tuple[Task, Found]]) -> int:
        """Store what was found; return some bytes that the index of words has grown by."""
        named = [self._named_row(task, one) for task, one in found]
        with transaction(self._db) as db:
            said = [_keep(db, row, self._seals()) for row in named]
            late = [task for task, _ in found if _may_be_read(task, _COMMIT_S)]
            _tell_again(db, late)
        for line in filter(None, said):
            logger.warning("%s", escape(line))
        # The disk took its time: somebody may have told of them meanwhile.
        missed = [task for task, _ in found if task not in late and _may_be_read(task, _COMMIT_S / 2)]
        if missed:
            with transaction(self._db) as db:
                _tell_again(db, missed)
        return sum(row.added for row in named)

    def merge(self) -> bool:
        """See words.merge()."""
        with transaction(self._db) as db:
            return words.merge(db)

    def fold(self) -> None:
        """See schema.fold()."""
        schema.fold(self._db, self._path)

    def index(self, most: int) -> bool:
        """Take some records into the index of words that have their meaning from a time without
        one; tell whether there are more."""
        found = self._db.execute(
            f"SELECT {bodies.WHOLE} FROM records WHERE indexed = 0 AND signature IS NOT NULL "
            "ORDER BY number DESC LIMIT ?",
            (most,),
        ).fetchall()
        words_of = [(row, words.of(row)) for row in found]
        with transaction(self._db) as db:
            for row, its_words in words_of:
                same = f"{_SAME} AND indexed = {words.OUT}"
                key = (row["number"], row["changed"])
                if db.execute(f"SELECT 1 FROM records WHERE {same}", key).fetchone():
                    rows.index(db, row, its_words, words.size(its_words))
        return len(found) == most

    def known(self, after: bytes, most: int) -> list[Known]:
        """Return crashes that another version of the algorithm has named, by identity; ``after`` is
        the last one returned before."""
        found = self._db.execute(
            f"SELECT {bodies.WHOLE} FROM records WHERE {keys.PART} = 0 AND identity > ? AND type IN (?, ?) "
            "AND crash IS NOT NULL AND crash NOT LIKE ? ORDER BY identity LIMIT ?",
            # It is the last that as_json tells. Not every SQLite can read JSON.
            (after, *CRASHES, f'%"version": {ALGORITHM}}}', most),
        ).fetchall()
        return [Known(_task(row), row["signature"] or "", row["title"] or "") for row in found]

    def rename(self, found: Sequence[tuple[Known, Meaning]]) -> None:
        """Store new names. Those who have the records do not get them again."""
        named = [self._named_row(one.task, meaning) for one, meaning in found]
        with transaction(self._db) as db:
            for row in named:
                old, new = row.task.row["signature"] or "", row.after["signature"]
                groups.follow(db, old, new)
                _keep(db, row, self._seals())
                if old != new:
                    groups.leave_empty(db, old)

    def _named_row(self, task: Task, found: Found) -> _Named:
        """Return a record with its meaning."""
        failure = None if isinstance(found, Meaning) else found
        meaning = found if isinstance(found, Meaning) else Meaning()
        code = meaning.code if self._located or _has_code(task.row) else ()
        release = task.record.meta.get("release", "")
        title = shorten(meaning.title, LONGEST_TITLE)
        meaning = replace(meaning, title=title, kernel=release or meaning.kernel, code=code)
        after = {
            **dict(task.row),
            "title": title,
            "signature": meaning.signature,
            "kernel": meaning.kernel,
            "crash": None if failure else json.dumps(meaning.as_json()),
            "failure": failure,
        }
        its_words = words.of(after, task.record)
        return _Named(task, after, its_words, words.size(its_words), code)


class _Named(NamedTuple):
    """A task, its record's row with the meaning, the words of that, some bytes that they take in the index,
    and in ``code`` the places that somebody should find."""

    task: Task
    after: dict[str, Any]
    words: words.Words
    added: int
    code: Sequence[str] = ()


def _has_code(row: sqlite3.Row) -> bool:
    """Tell whether somebody wanted file and line of a record's crash."""
    return '"code": ["' in (row["crash"] or "")


def _portions(found: Sequence[tuple[Task, Found]]) -> Iterator[Sequence[tuple[Task, Found]]]:
    """Yield what is stored in one transaction: others must not wait long for it."""
    portion: list[tuple[Task, Found]] = []
    size = 0
    for one in found:
        portion.append(one)
        size += len(one[0].text)
        if size >= _PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _keep(db: sqlite3.Connection, named: _Named, seals: bool) -> str:
    """Store a record's meaning, unless it has changed, and count and index it by that. Return what
    the log should say of its group; mostly ""."""
    before, after = named.task.row, named.after
    number = before["number"]
    same = db.execute(
        f"SELECT indexed FROM records WHERE {_SAME} AND signature IS ?",
        (*named.task.key, before["signature"]),
    ).fetchone()
    if same is None:
        return ""
    tallies.remove_from_group(db, before)
    tallies.add_to_group(db, after)
    # An index that was begun anew since says of all that they are not in it.
    if same["indexed"] == words.IN:
        words.remove(db, number, words.of(before, named.task.record))
    rows.index(db, before, named.words, named.added, **{name: after[name] for name in _MEANING})
    if named.code:
        places.want(db, after["kernel"] or "", named.code)
    tallies.settle(db, before["signature"])
    return groups.seen(db, after, seals)


def _may_be_read(task: Task, commit_s: float) -> bool:
    """Tell whether somebody may have read the record without its meaning before a commit is over."""
    row = task.row
    late = changes.age_s(row["changed"], row["received_ns"]) >= PATIENCE_S - commit_s
    return bool(row["turn"] == queueing.WAITED or (row["turn"] == queueing.AT_ONCE and late))


def _tell_again(db: sqlite3.Connection, tasks: Sequence[Task]) -> None:
    """Count the meanings as changes, for tasks whose record somebody may have read without one."""
    changed = changes.newest(db)
    for task in tasks:
        number = changes.following(changed)
        done = db.execute(
            f"UPDATE records SET changed = ? WHERE {_SAME} AND signature != ''", (number, *task.key)
        )
        changed = number if done.rowcount else changed
    changes.keep(db, changed)


def _task(row: sqlite3.Row) -> Task:
    record = row_to_record(row)
    text = record.marked_text if record.type in CRASHES else b""
    return Task(row, record, text, record.meta.get("reason", ""))
