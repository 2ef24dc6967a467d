# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of words, SQLite's own (https://sqlite.org/fts5.html): who looks for a word does not read
every record.

A record is in it from when somebody has looked what its crash means. The index holds no text of its
own: to take a record out, its words are made from the record again. So a change of ``of`` needs a
new index.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..records.record import Record
from .packing import row_to_record
from .search import Finder, Phrase

#: Whether a record is in it: it is not, it is, or it never will be because nobody can read it.
OUT, IN, NEVER = 0, 1, 2
#: Without the sizes of columns: nothing is ranked. Each transaction adds a segment. Nobody merges them within
#: his own transaction, unless there are very many (crisismerge): that takes long; see ``merge``, which takes
#: many at a time (usermerge), so that a word is written again as seldom as can be.
SCHEMA = """
CREATE VIRTUAL TABLE words USING fts5(
    in_host, in_kernel, in_sym, in_kind, in_about, in_text,
    content='', columnsize=0, tokenize='unicode61 remove_diacritics 0'
);
INSERT INTO words (words, rank) VALUES ('automerge', 0), ('usermerge', 16), ('crisismerge', 64);
CREATE INDEX records_to_index ON records (number) WHERE indexed = 0 AND signature IS NOT NULL;
"""
#: Pages that are merged at a time, some milliseconds, and bytes of a page.
_MERGED_PAGES, _PAGE_BYTES = 64, 4096
#: How often a page is merged until it is among the oldest.
_LEVELS = 4
#: What a word takes that a record says, however often it says it.
_WORD_BYTES = 16
_WORD = re.compile(r"[^\W_]+")
#: What stands between words, in ASCII, as spaces: to split there takes a third of the pattern's time.
_BETWEEN = bytes(byte if chr(byte).isalnum() else 32 for byte in range(128)).ljust(256)
#: Bytes of an index that is merged as a whole as soon as half of it is words that were taken out.
_LEAST_BYTES = 4 << 20
#: To merge all adds levels, mostly empty ones, and old SQLites take an index of more than 2000 for damaged.
_MOST_LEVELS = 1000
#: Where the index lists its segments (https://sqlite.org/fts5.html#the_data_table).
_STRUCTURE = "SELECT block FROM words_data WHERE id = 10"
#: The end of a text is searched, so many bytes of it.
_MOST_TEXT = 256 << 10
#: What stands before a line: a level, a time, who said it.
_STAMP = re.compile(rb"\n[<\[][^\n\]]{0,78}\](?:\[[^\n\]]{0,24}\])? ")
#: Numbers that nobody looks for: of so many digits.
_FEWEST_DIGITS = 12
_ADDRESS = re.compile(rb"\b(?:0[xX])?[0-9a-fA-F]{%d,64}\b" % _FEWEST_DIGITS)
#: To look for so many digits in a row takes a hundredth of the pattern's time.
_DIGITS = bytes(48 if chr(byte) in "0123456789abcdefABCDEF" else byte for byte in range(256))
_MAY_BE_ADDRESS = b"0" * _FEWEST_DIGITS
_COLUMNS = "in_host, in_kernel, in_sym, in_kind, in_about, in_text"
_INSERT = f"INSERT INTO words (rowid, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
_DELETE = f"INSERT INTO words (words, rowid, {_COLUMNS}) VALUES ('delete', ?, ?, ?, ?, ?, ?, ?)"


class Words(NamedTuple):
    """What can be found of a record, by where it stands."""

    host: str
    kernel: str
    sym: str
    kind: str
    about: str
    text: str


def of(row: Mapping[str, Any] | sqlite3.Row, record: Record | None = None) -> Words:
    """Return the words of a row of ``records``; ``record`` is the row as a value, if somebody has it."""
    record, crash = record or row_to_record(row), crash_of(row["crash"])
    said = (row["id"], row["reason"], *record.meta.values())
    kernel = row["kernel"] or record.meta.get("release", "")
    return made(row["host"], kernel, row["type"], said, crash, record.received_text)


def made(
    host: str, kernel: str, type: str, said: Sequence[str], crash: Mapping[str, Any], text: bytes
) -> Words:
    """Return the words of a record of which that is known. ``said``: what can be found as about it."""
    names = ("title", "at", "trace", "names", "module")
    about = (*said, *texts_of(crash, "hardware", "module", "modules", "comm", "taint", "file"))
    return Words(
        host,
        kernel,
        "\n".join(texts_of(crash, *names)),
        "\n".join((type, *texts_of(crash, "kind", "severity"))),
        "\n".join(about),
        of_text(text),
    )


def of_text(text: bytes) -> str:
    """Return the words of a log: each line once, without its time, and without addresses."""
    whole = b"\n" + text[-_MOST_TEXT:].replace(b"\0", b" ")
    lines = dict.fromkeys(_STAMP.sub(b"\n", whole)[1:].split(b"\n"))
    return _without_addresses(b"\n".join(lines)).decode("utf-8", "replace")


def _without_addresses(text: bytes) -> bytes:
    digits = text.translate(_DIGITS)
    parts: list[bytes] = []
    done = at = 0
    while (at := digits.find(_MAY_BE_ADDRESS, at)) >= 0:
        # The zero of 0x is no digit of it.
        begin = at - 2 if at > 1 and text[at - 1] in b"xX" else at
        if found := _ADDRESS.match(text, begin):
            parts.append(text[done:begin])
            at = done = found.end()
        else:
            at += _FEWEST_DIGITS
    return b" ".join((*parts, text[done:]))


def size(words: Words) -> int:
    """Return some bytes that these words take in the index: those that somebody makes up take far more than
    the text that says them."""
    text = "\n".join(words)
    found = text.encode().translate(_BETWEEN).split() if text.isascii() else _WORD.findall(text)
    return _WORD_BYTES * len(set(found))


def _fts5(phrase: Phrase) -> str:
    """Return a phrase in FTS5's language (https://sqlite.org/fts5.html#full_text_query_syntax)."""
    text = '"' + phrase.words.replace('"', " ") + '"' + (" *" if phrase.prefix else "")
    if not phrase.field:
        return text
    return f"in_{phrase.field} : {'^ ' if phrase.from_the_start else ''}{text}"


#: The index is in the order of numbers: it is read no further than the limit.
FINDER = Finder(
    source="words JOIN records ON records.number = words.rowid",
    order="words.rowid",
    has="words MATCH ?",
    has_too="EXISTS (SELECT 1 FROM words WHERE words MATCH ? AND rowid = number)",
    lacks="number NOT IN (SELECT rowid FROM words WHERE words MATCH ?)",
    every=lambda phrases: " AND ".join(map(_fts5, phrases)),
    any=lambda phrases: " OR ".join(map(_fts5, phrases)),
)


def add(db: sqlite3.Connection, number: int, words: Words) -> None:
    """Take a record in."""
    try:
        db.execute(_INSERT, (number, *words))
    except sqlite3.DatabaseError as error:
        _begin_anew(db, error)
        db.execute(_INSERT, (number, *words))


def remove(db: sqlite3.Connection, number: int, words: Words) -> None:
    """Take a record out."""
    try:
        db.execute(_DELETE, (number, *words))
    except sqlite3.DatabaseError as error:
        _begin_anew(db, error)
    db.execute(
        "INSERT INTO counters VALUES ('words_out', ?1) ON CONFLICT (name) DO UPDATE SET value = value + ?1",
        (size(words),),
    )


def merges(added: int) -> int:
    """Return how many calls of ``merge`` keep up with so many bytes of words. Else segments pile up until
    SQLite merges all of them at once, and nobody can write meanwhile."""
    return _LEVELS * (1 + added // (_MERGED_PAGES * _PAGE_BYTES))


def merge(db: sqlite3.Connection) -> bool:
    """Merge some of the index's segments, within a transaction; tell whether there may be more to
    merge. The more segments there are, the longer a search takes."""
    before = db.total_changes
    try:
        pages = _MERGED_PAGES
        if (levels := _half_empty(db)) > _MOST_LEVELS:
            _empty(db)
            return False
        if levels:
            db.execute("UPDATE counters SET value = 0 WHERE name = 'words_out'")
            # All segments into one, from now on: SQLite's own way to say so.
            before, pages = db.total_changes, -pages
        db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
    except sqlite3.DatabaseError as error:
        _begin_anew(db, error)
        return False
    # SQLite's own way to say so.
    return db.total_changes - before >= 2


def _half_empty(db: sqlite3.Connection) -> int:
    """Return how many levels an index has of which half is words that were taken out, else 0. Each of them is
    in it twice: a segment keeps what it has until it is merged with the one that takes it out, and the oldest
    are merged last."""
    found = db.execute("SELECT value FROM counters WHERE name = 'words_out'").fetchone()
    out = 2 * found[0] if found else 0
    if out <= _LEAST_BYTES // 2:
        return 0
    try:
        levels, size = _shape(db.execute(_STRUCTURE).fetchone()[0])
    # The disk has changed it: SQLite says so better.
    except (TypeError, StopIteration, ValueError):
        return 0
    return levels if out > size // 2 else 0


def _shape(structure: bytes) -> tuple[int, int]:
    """Return how many levels an index has, and the bytes of all segments."""
    numbers = _varints(structure[4:])
    levels, _, _ = next(numbers), next(numbers), next(numbers)
    pages = 0
    for _ in range(levels):
        _, segments = next(numbers), next(numbers)
        for _ in range(segments):
            _, first, last = next(numbers), next(numbers), next(numbers)
            pages += last - first + 1
    return levels, pages * _PAGE_BYTES


def _varints(data: bytes) -> Iterator[int]:
    """Yield SQLite's numbers of one to nine bytes."""
    value = length = 0
    for byte in data:
        length += 1
        if length < 9:
            value = value << 7 | byte & 0x7F
            if byte & 0x80:
                continue
        else:
            value = value << 8 | byte
        yield value
        value = length = 0


def _begin_anew(db: sqlite3.Connection, error: sqlite3.DatabaseError) -> None:
    """Empty an index that does not fit its records: the disk has changed one of the two. They come
    back one by one (meanings.py). Raises any other error again."""
    if "malformed" not in str(error):
        raise error
    _empty(db)


def _empty(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO words (words) VALUES ('delete-all')")
    db.execute("DELETE FROM counters WHERE name = 'words_out'")
    db.execute("UPDATE records SET indexed = ? WHERE indexed = ?", (OUT, IN))


def crash_of(text: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return what is known of a crash, as JSON or read already; nothing if the disk has corrupted it."""
    try:
        found = json.loads(text or "{}") if not isinstance(text, Mapping) else text
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def texts_of(crash: Mapping[str, Any], *names: str) -> Iterator[str]:
    """Yield the texts that a crash has under these names."""
    for name in names:
        found = crash.get(name)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, str):
                yield one
