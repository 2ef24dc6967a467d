# SPDX-License-Identifier: GPL-2.0-or-later
"""The query parameters: one table for the pages, the API and its description. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ..db import search
from ..db.boots import ORDERS as HOST_ORDERS
from ..db.boots import STATES
from ..db.grouped import ORDERS as GROUP_ORDERS
from ..db.groups import STATES as GROUP_STATES
from ..db.reader import Query
from ..errors import UsageError
from ..text import parse_when
from ..wire.v1 import TYPES
from .comparison import BY, LABEL

#: Records on a page where nothing else is asked for, and at most.
FEW, MOST = 50, 1000
#: A name on the wire has at most 255 bytes; nobody types longer words.
_LONGEST = 255
_INT64 = (1 << 63) - 1
#: A word has a letter or a digit.
_WORDS = {"type": "string", "pattern": "[A-Za-z0-9]", "maxLength": _LONGEST}


class Parameter(NamedTuple):
    """``schema`` is JSON Schema; ``parse`` raises ValueError, maybe with a sentence."""

    name: str
    field: str
    text: str
    schema: Mapping[str, Any]
    parse: Callable[[str], Any]


def _word(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return parse


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} is not {what}")
        return text

    return parse


def _flag(text: str) -> bool:
    return _word("true", "false")(text) == "true"


def _short(text: str) -> str:
    if not 0 < len(text) <= _LONGEST:
        raise ValueError(f"it needs 1 to {_LONGEST} characters")
    return text


def _whole(text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= most:
        raise ValueError(f"{text!r} is not a whole number from 1 to {most}")
    return int(text)


def _limit(text: str) -> int:
    return _whole(text, MOST)


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise ValueError(f"{text!r} is not a value that `next` returned")
    return min(_INT64, int(text))


def _search(text: str) -> str:
    search.parse(_short(text))
    return text


_TYPES = sorted(TYPES.values())
TYPE = Parameter(
    "type", "type", "Only records of this type.", {"type": "string", "enum": _TYPES}, _word(*_TYPES)
)
HOST = Parameter(
    "host",
    "host",
    "Only records of this host.",
    {"type": "string", "minLength": 1, "maxLength": _LONGEST},
    _short,
)
GROUP = Parameter(
    "group",
    "group",
    "Only crashes whose signature is this, or begins with it.",
    {"type": "string", "pattern": "^[0-9a-f]{1,12}$"},
    _matching("[0-9a-f]{1,12}", "a signature: up to 12 hexadecimal digits"),
)
SINCE = Parameter(
    "since",
    "since_ns",
    "Only what was received since then: an age such as 30m, 2h or 7d, or a time.",
    {
        "anyOf": [
            {"type": "string", "pattern": "^[0-9]{1,9}[smhdw]$"},
            {"type": "string", "format": "date-time"},
        ]
    },
    parse_when,
)
SEARCH = Parameter(
    "search",
    "search",
    "Only records in which each of these words is found, in their text or in what is known of them. A "
    'word may be the beginning of a longer one. "Several words" stand one after the other; `-word` is '
    "not there. `host:`, `kernel:`, `sym:` (title and trace), `kind:`, `hardware:`, `firmware:`, "
    "`module:`, `about:` and `text:` say where to look, `since:7d` from when on, `label:rack=r12` which "
    "label their host has.",
    _WORDS,
    _search,
)
ALL = Parameter(
    "all",
    "everything",
    "hello and bye too, the newest of each boot; and what was kept of a crash that has a record already.",
    {"type": "boolean", "default": False},
    _flag,
)
LIMIT = Parameter(
    "limit",
    "limit",
    "At most so many, the newest.",
    {"type": "integer", "minimum": 1, "maximum": MOST, "default": FEW},
    _limit,
)
BEFORE = Parameter(
    "before",
    "before",
    "Go on in the list: what `next` said.",
    {"type": "string", "pattern": "^[0-9]{1,19}$"},
    _number,
)
PART = Parameter(
    "part",
    "part",
    "Which part of a long text a page shows; without it the one with the panic.",
    {"type": "integer", "minimum": 1, "maximum": 9999},
    lambda text: _whole(text, 9999),
)
STATE = Parameter(
    "state",
    "state",
    "Only hosts in this state; without it, all that are not retired.",
    {"type": "string", "enum": list(STATES)},
    _word(*STATES),
)
HOST_SEARCH = Parameter(
    "search",
    "search",
    "Only hosts with each of these words in their name, kernel or address, or with a label: "
    "`label:rack=r12`, `label:rack`, `-label:role=test`.",
    _WORDS,
    _search,
)
OVER = Parameter(
    "over",
    "over",
    "Windows that are over, too.",
    {"type": "boolean", "default": False},
    _flag,
)
GROUP_STATE = Parameter(
    "state",
    "state",
    "Only groups in this state.",
    {"type": "string", "enum": list(GROUP_STATES)},
    _word(*GROUP_STATES),
)

_BY = "|".join((*BY, f"{LABEL}[a-z_][a-z0-9_]{{0,31}}"))
COMPARED_BY = Parameter(
    "by",
    "by",
    "By what crashes are counted: kernels and labels (label:rack) have rates; hardware, firmware and "
    "modules, which only a crash tells, have shares.",
    {"type": "string", "pattern": f"^({_BY})$", "default": "kernel"},
    _matching(_BY, f"one of {', '.join(BY)}, {LABEL}NAME"),
)
THAN = Parameter(
    "than",
    "than",
    "The one beside which others are put; without it, the one that ran longest.",
    {"type": "string", "minLength": 1, "maxLength": _LONGEST},
    _short,
)
SEALED = Parameter(
    "sealed",
    "sealed",
    "Only what was sealed, which nobody without a key can make up.",
    {"type": "boolean", "default": False},
    _flag,
)
#: What orders are called: of what is compared, of groups and of hosts; those that pages have come first.
ORDERS = {"days": "most first", "rate": "most often first", "name": "by name"}
ORDERS_OF_GROUPS = {
    "last": "last seen first",
    "first": "newest crash first",
    "hosts": "most hosts first",
    "records": "most records first",
}
ORDERS_OF_HOSTS = {"attention": "attention first", "last": "last seen first", "name": "by name"}


def _order(names: Iterable[str], field: str, text: str) -> Parameter:
    return Parameter("sort", field, text, {"type": "string", "enum": list(names)}, _word(*names))


SORT = _order(ORDERS, "sort", "The order.")
GROUP_SORT = _order(
    GROUP_ORDERS,
    "order",
    "What comes first: the crash that was seen last, the one that was first seen last, or the one of most "
    "hosts or records.",
)
HOST_SORT = _order(
    HOST_ORDERS,
    "order",
    "The order: by name, the one that was heard last first, or those that need attention first.",
)

OF_COMPARISON = (COMPARED_BY, GROUP, SINCE, THAN, SEALED)
FILTERS = (TYPE, HOST, GROUP, SINCE, SEARCH, ALL)


#: Those of lists of groups, and of hosts.
OF_GROUPS = (GROUP, HOST, SINCE, SEARCH, GROUP_STATE, GROUP_SORT)
OF_HOSTS = (STATE, HOST_SEARCH, HOST_SORT)


def parse(pairs: Iterable[tuple[str, str]], known: Sequence[Parameter]) -> dict[str, Any]:
    """Return the values of parameters by their fields. Raises UsageError for one that is unknown,
    wrong or given twice."""
    by_name = {parameter.name: parameter for parameter in known}
    found: dict[str, Any] = {}
    for name, text in pairs:
        parameter = by_name.get(name)
        if parameter is None:
            there = ", ".join(by_name) or "none"
            raise UsageError(f"there is no parameter {name!r}; there are: {there}")
        if parameter.field in found:
            raise UsageError(f"{name} is given twice")
        try:
            # What UTF-8 cannot say no record holds.
            text.encode()
            found[parameter.field] = parameter.parse(text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    return found


def query_of(values: Mapping[str, Any]) -> Query:
    """Return the query for the database."""
    return Query(**{"limit": FEW, "folded": not values.get("everything"), **values})
