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
from typing import Any, NamedTuple, Union

from ..log import logger
from ..meaning import VERSION as ALGORITHM
from ..meaning import Meaning
from ..text import escape, shorten
from . import bodies, changes, groups, keys, places, rows, schema, tallies, turns, words
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
#: Bytes of texts whose meanings are stored in one transaction.
_PORTION = 128 << 10
#: Merges of the index of words behind each such transaction: as much as one adds.
_MERGES = 4
#: Of so many times to begin, one is for what was begun before.
_AGAIN_EVERY = 8
_NEVER_ENDED = "whoever looked at it was ended, twice"


class Task(NamedTuple):
    """A record that waits: ``text`` with its gaps marked, the ``reason`` that the sender states."""

    identity: bytes
    changed: int
    id: str
    type: str
    release: str
    text: bytes
    reason: str
    received_ns: int
    turn: int = turns.AT_ONCE


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

    def __init__(self, path: Path, located: bool = False) -> None:
        """``located`` says that somebody finds file and line of crashes: else nobody needs their code."""
        self._named = NamedFile(path)
        self._located = located
        self._db = schema.open_writer(path)
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
            f"SELECT 1 FROM records WHERE signature IS NULL AND tries = 0 AND turn = {turns.AT_ONCE} LIMIT 1"
        )
        return found.fetchone() is not None

    def begin(self, most: int) -> list[Task]:
        """Return the records that have waited longest, at most ``most``. When this returns, the
        disk has noted that they are tried.

        A record that was begun before and not finished comes alone: if something fails again, it is
        the cause.
        """
        self._begun += 1
        least = 0 if self._begun % _AGAIN_EVERY else 1
        with transaction(self._db) as db:
            db.execute(_GIVE_UP, (_NEVER_ENDED, MOST_TRIES))
            found = (
                db.execute(_WAITING, (least, most)).fetchall() or db.execute(_WAITING, (0, most)).fetchall()
            )
            found = [row for row in found if not row["tries"]] or found[:1]
            for row in found:
                db.execute(
                    "UPDATE records SET tries = tries + 1 WHERE identity = ? AND changed = ?",
                    (row["identity"], row["changed"]),
                )
        tasks, unreadable = [], []
        for row in found:
            try:
                tasks.append(_task(row))
            # Whatever the disk has made of it: it must not keep the others from being looked at.
            except Exception as error:
                why = f"it cannot be read: {type(error).__name__}: {error}"
                unreadable.append((why, words.NEVER, row["identity"], row["changed"]))
        if unreadable:
            with transaction(self._db) as db:
                db.executemany(
                    "UPDATE records SET signature = '', failure = ?, indexed = ? "
                    "WHERE identity = ? AND changed = ?",
                    unreadable,
                )
        return tasks

    def end(self, found: Sequence[tuple[Task, Found]], untried: Sequence[Task] = ()) -> None:
        """Store what was found; ``untried`` were begun and never analysed. A record that has grown
        meanwhile waits again."""
        if untried:
            with transaction(self._db) as db:
                db.executemany(
                    "UPDATE records SET tries = tries - 1 WHERE identity = ? AND changed = ?",
                    [task[:2] for task in untried],
                )
        for some in _portions(found):
            self._end(some)
            for _ in range(_MERGES):
                if not self.merge():
                    break

    def _end(self, found: Sequence[tuple[Task, Found]]) -> None:
        named = [self._named_row(task, one) for task, one in found]
        with transaction(self._db) as db:
            said = [_keep(db, row) for row in filter(None, named)]
            late = [task for task, _ in found if _may_be_read(task, _COMMIT_S)]
            _tell_again(db, late)
        for line in filter(None, said):
            logger.warning("%s", escape(line))
        # The disk took its time: somebody may have told of them meanwhile.
        missed = [task for task, _ in found if task not in late and _may_be_read(task, _COMMIT_S / 2)]
        if missed:
            with transaction(self._db) as db:
                _tell_again(db, missed)

    def merge(self) -> bool:
        """See words.merge()."""
        with transaction(self._db) as db:
            return words.merge(db)

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
                same = "number = ? AND changed = ? AND indexed = 0"
                key = (row["number"], row["changed"])
                if db.execute(f"SELECT 1 FROM records WHERE {same}", key).fetchone():
                    words.add(db, row["number"], its_words)
                    db.execute(f"UPDATE records SET indexed = {words.IN} WHERE {same}", key)
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
            for row in filter(None, named):
                old, new = row.before["signature"] or "", row.after["signature"]
                groups.follow(db, old, new)
                _keep(db, row)
                if old != new:
                    groups.leave_empty(db, old)

    def _named_row(self, task: Task, found: Found) -> _Named | None:
        """Return a record with its meaning, before and after; None if it has changed since."""
        before = self._db.execute(
            f"SELECT {bodies.WHOLE} FROM records WHERE identity = ? AND changed = ?", task[:2]
        ).fetchone()
        if before is None:
            return None
        failure = None if isinstance(found, Meaning) else found
        meaning = found if isinstance(found, Meaning) else Meaning()
        code = meaning.code if self._located or _has_code(before) else ()
        meaning = replace(meaning, kernel=task.release or meaning.kernel, code=code)
        title = shorten(meaning.title, LONGEST_TITLE)
        after = {
            **dict(before),
            "title": title,
            "signature": meaning.signature,
            "kernel": meaning.kernel,
            "crash": None if failure else json.dumps({**meaning.as_json(), "title": title}),
            "failure": failure,
        }
        return _Named(before, after, words.of(after), code)


class _Named(NamedTuple):
    """A row before and after it got its meaning, the words of it, and in ``code`` the places that
    somebody should find."""

    before: sqlite3.Row
    after: dict[str, Any]
    words: words.Words
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


def _keep(db: sqlite3.Connection, row: _Named) -> str:
    """Store a record's meaning, unless it has changed, and count and index it by that. Return what
    the log should say of its group; mostly ""."""
    names = ("title", "signature", "kernel", "crash", "failure")
    done = db.execute(
        f"UPDATE records SET {', '.join(f'{name} = ?' for name in names)} WHERE identity = ? AND changed = ?",
        (*(row.after[name] for name in names), row.before["identity"], row.before["changed"]),
    )
    if not done.rowcount:
        return ""
    tallies.remove_from_group(db, row.before)
    tallies.add_to_group(db, row.after)
    tallies.settle(db, row.before["signature"])
    rows.unindex(db, row.before)
    words.add(db, row.before["number"], row.words)
    if row.code:
        places.want(db, row.after["kernel"] or "", row.code)
    # Last: an index that was begun anew says of all that they are not in it.
    db.execute("UPDATE records SET indexed = ? WHERE number = ?", (words.IN, row.before["number"]))
    return groups.seen(db, row.after)


def _may_be_read(task: Task, commit_s: float) -> bool:
    """Tell whether somebody may have read the record without its meaning before a commit is over."""
    late = changes.age_s(task.changed, task.received_ns) >= PATIENCE_S - commit_s
    return task.turn == turns.WAITED or (task.turn == turns.AT_ONCE and late)


def _tell_again(db: sqlite3.Connection, tasks: Sequence[Task]) -> None:
    """Count the meanings as changes, for tasks whose record somebody may have read without one."""
    changed = changes.newest(db)
    for task in tasks:
        number = changes.following(changed)
        done = db.execute(
            "UPDATE records SET changed = ? WHERE identity = ? AND changed = ? AND signature != ''",
            (number, task.identity, task.changed),
        )
        changed = number if done.rowcount else changed
    changes.keep(db, changed)


def _task(row: sqlite3.Row) -> Task:
    record = row_to_record(row)
    text = record.marked_text if record.type in CRASHES else b""
    meta = record.meta
    return Task(
        row["identity"],
        row["changed"],
        row["id"],
        record.type,
        meta.get("release", ""),
        text,
        meta.get("reason", ""),
        record.received_ns,
        row["turn"],
    )
