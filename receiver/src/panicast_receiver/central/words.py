# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of words of the central store: the words that SQLite's index has (db/words.py), as values of
PostgreSQL's text search (https://www.postgresql.org/docs/current/datatype-textsearch.html). Pure.

The receiver makes the words, so no dictionary or language of the server changes them. A word of a field
is there twice: as itself, and with the field's name before it. ``sym:nvme`` is the lexeme ``sym/nvme``.
A field that must begin with a phrase has the lexeme ``host/`` before its first word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..db.search import Finder, Phrase
from ..db.words import Words

#: What FTS5's tokenizer takes for words: https://sqlite.org/fts5.html#unicode61_tokenizer.
_WORD = re.compile(r"[^\W_]+")
#: What PostgreSQL can hold: positions, positions of one word, bytes of a word and of all.
_LAST, _MOST_OF_WORD, _LONGEST, _MOST_BYTES = 16_383, 255, 2000, 900_000
#: No phrase goes on from one field to the next.
_APART = 2
#: Of ``text`` there is no second copy: its words have a weight of their own.
_TEXT = "text"
_WEIGHTS = {_TEXT: "A"}


def vector(words: Words) -> str:
    """Return a tsvector, as PostgreSQL reads it. Words beyond what it can hold are left out; where there
    are more than it has positions, the first are found alone, but not in phrases: a crash is at the end."""
    found: dict[str, list[str]] = {}
    position = size = 0
    for field, text in zip(words._fields, words):
        lexemes = list(_lexemes(field, text))
        begin = position + _APART
        position = min(begin, _LAST - sum(step for _, step in lexemes))
        for lexeme, step in lexemes:
            position += step
            if lexeme not in found:
                size += len(lexeme.encode()) + 8
                if size > _MOST_BYTES:
                    continue
            places = found.setdefault(lexeme, [])
            if position > begin and len(places) < _MOST_OF_WORD:
                places.append(f"{position}{_WEIGHTS.get(field, '')}")
    return " ".join(_quoted(lexeme) + (":" + ",".join(at) if at else "") for lexeme, at in found.items())


def _lexemes(field: str, text: str) -> Iterator[tuple[str, int]]:
    """Yield each lexeme of a field, and by how much its position is after the one before."""
    if field == _TEXT:
        yield from ((word, 1) for word in _split(text))
        return
    yield f"{field}/", 1
    for word in _split(text):
        yield word, 1
        yield f"{field}/{word}", 0


def _split(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if len(word.encode()) <= _LONGEST]


def _query(phrase: Phrase) -> str:
    """Return a phrase as part of a tsquery, as PostgreSQL reads it."""
    marked = f"{phrase.field}/" if phrase.field not in ("", _TEXT) else ""
    words = [marked + word for word in _split(phrase.words)]
    flags = ("A" if phrase.field == _TEXT else "") + ("*" if phrase.prefix else "")
    weight = ":A" if phrase.field == _TEXT else ""
    terms = [_quoted(word) + weight for word in words[:-1]]
    terms += [_quoted(word) + (f":{flags}" if flags else "") for word in words[-1:]]
    if phrase.from_the_start:
        terms.insert(0, _quoted(marked))
    return "(" + " <-> ".join(terms) + ")"


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def _joined(phrases: Sequence[Phrase], joint: str) -> str:
    return joint.join(_query(phrase) for phrase in phrases if _split(phrase.words))


FINDER = Finder(
    source="records",
    order="number",
    has="words @@ ?::tsquery",
    has_too="words @@ ?::tsquery",
    lacks="NOT words @@ ?::tsquery",
    every=lambda phrases: _joined(phrases, " & "),
    any=lambda phrases: _joined(phrases, " | "),
)
