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
#: Pages that are merged at a time, some milliseconds.
_MERGED_PAGES = 64
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


def merge(db: sqlite3.Connection) -> bool:
    """Merge some of the index's segments, within a transaction; tell whether there may be more to
    merge. The more segments there are, the longer a search takes."""
    before = db.total_changes
    try:
        db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (_MERGED_PAGES,))
    except sqlite3.DatabaseError as error:
        _begin_anew(db, error)
        return False
    # SQLite's own way to say so.
    return db.total_changes - before >= 2


def _begin_anew(db: sqlite3.Connection, error: sqlite3.DatabaseError) -> None:
    """Empty an index that does not fit its records: the disk has changed one of the two. They come
    back one by one (meanings.py). Raises any other error again."""
    if "malformed" not in str(error):
        raise error
    db.execute("INSERT INTO words (words) VALUES ('delete-all')")
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
