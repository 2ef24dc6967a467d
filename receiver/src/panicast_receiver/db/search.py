# SPDX-License-Identifier: GPL-2.0-or-later
"""The search language: what a person types, as phrases for an index of words. Pure.

nvme timeout            both words, anywhere; a word may be the beginning of a longer one
"kernel BUG at"         these words, one after the other
host:db-*  kernel:6.1   in the host's name, in the kernel's release, from their beginning
sym:nvme_queue_rq       in the crash's title or trace
kind:oops               in the kind of crash or the type of record
hardware:R650           in what a crash tells of its machine; firmware: is the same
module:nvidia           in a crash's modules: the guilty function's, and those that taint the kernel
since:7d                received since then
label:rack=r12          of a host with this label; label:rack: with any rack
-module                 not where this is found
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable, NamedTuple

from ..records.labels import split
from ..text import parse_when
from .labels import Term

#: Columns that can be named, other names of one, and of those the ones whose beginning is meant.
FIELDS = ("host", "kernel", "sym", "kind", "about", "text")
_ALIASES = dict.fromkeys(("hardware", "firmware", "module"), "about")
_FROM_THE_START = ("host", "kernel")
#: The field that asks for a label of the host.
LABEL = "label"
#: Of more terms the rest is not looked for.
_MOST_TERMS = 16
_TERM = re.compile(r'(-?)(?:([a-z]+):)?(?:"([^"]*)"?|([^\s"]+))')
#: A character that belongs to a word.
_WORD = re.compile(r"[^\W_]")


class Phrase(NamedTuple):
    """Words that follow one another, in a field ("" is any). With ``prefix`` the last one may be the
    beginning of a longer word."""

    field: str
    words: str
    prefix: bool

    @property
    def from_the_start(self) -> bool:
        """Tell whether the field must begin with it."""
        return self.field in _FROM_THE_START


class Finder(NamedTuple):
    """How a database looks for words: the tables to read and the column of their order, and the conditions
    that a record has words and has none, each with one value, of which ``every`` and ``any`` make what
    phrases mean."""

    source: str
    order: str
    has: str
    #: The same of few records that are read anyhow.
    has_too: str
    lacks: str
    every: Callable[[Sequence[Phrase]], str]
    any: Callable[[Sequence[Phrase]], str]


class Search(NamedTuple):
    """``found``: all of what a record must have; ``absent``: it must have none of that. ``labels`` are
    those of its host."""

    found: tuple[Phrase, ...] = ()
    absent: tuple[Phrase, ...] = ()
    since_ns: int | None = None
    labels: tuple[Term, ...] = ()


def parse(text: str) -> Search:
    """Return what a person looks for. Raises ValueError with a sentence."""
    found: list[Phrase] = []
    absent: list[Phrase] = []
    since_ns: int | None = None
    labels: list[Term] = []
    for minus, field, quoted, plain in _TERM.findall(text.replace("\0", " "))[:_MOST_TERMS]:
        words = quoted or plain
        if field == "since" and not minus:
            since_ns = parse_when(words)
            continue
        if field == LABEL:
            labels.append(label(words, bool(minus)))
            continue
        field = _ALIASES.get(field, field)
        if field not in FIELDS:
            # A colon in a text is no field: "PID:", "lib/string.c:12".
            words = f"{field} {words}" if field else words
            field = ""
        if _WORD.search(words):
            (absent if minus else found).append(_phrase(field, words, exact=bool(quoted)))
    if not found and not absent and since_ns is None and not labels:
        raise ValueError(f"{text!r} has no word to look for")
    return Search(tuple(found), tuple(absent), since_ns, tuple(labels))


def label(text: str, absent: bool = False) -> Term:
    """Return what ``rack=r12`` looks for; ``rack`` alone is any value. Raises ValueError with a
    sentence."""
    return Term(*split(text if "=" in text else f"{text}=*"), absent)


def words_of(text: str) -> list[str]:
    """Return the words of a search for hosts, a label as ``label:rack=r12``."""
    found = _TERM.findall(text.replace("\0", " "))[:_MOST_TERMS]
    return [f"{minus}{field and field + ':'}{quoted or plain}" for minus, field, quoted, plain in found]


def label_of(word: str) -> Term | None:
    """Return the label that such a word asks for; None if it is another word. Raises ValueError with a
    sentence."""
    minus, field, words = word.startswith("-"), *word.lstrip("-").partition(":")[::2]
    return label(words, minus) if field == LABEL else None


def host_is(name: str) -> tuple[Phrase, ...]:
    """Return the phrase that all records of a host fit, and few others; none if its name has no word."""
    return (_phrase("host", name, exact=True),) if _WORD.search(name) else ()


def _phrase(field: str, words: str, exact: bool) -> Phrase:
    star = words.endswith("*")
    words = words.rstrip("*")
    # A number is meant as a whole: 6.1 is not 6.12. Of a word that is being typed the rest is to come.
    prefix = star or not (exact or field in _FROM_THE_START or words[-1:].isdigit())
    return Phrase(field, words, prefix)
