# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of flags that argparse cannot check by itself. Each function returns the value, or raises
ArgumentTypeError."""

from __future__ import annotations

import argparse

from ..db import search
from ..text import parse_when

#: What has more of them may not fit into what SQLite can hold.
_DIGITS = 18


def since(text: str) -> int:
    """Return a point of time in nanoseconds, see ``text.parse_when``."""
    try:
        return parse_when(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def words(text: str) -> str:
    """Return words to look for in records."""
    try:
        search.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def words_of_hosts(text: str) -> str:
    """Return words to look for in the list of hosts."""
    try:
        for word in search.words_of(text):
            search.label_of(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def number(text: str) -> int:
    """Return a whole number of 0 and more."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    if len(text) > _DIGITS:
        raise argparse.ArgumentTypeError(f"{text[:_DIGITS]}… is too large")
    return int(text)


def key_id(text: str) -> int:
    """Return the id of a key."""
    if not 1 <= number(text) <= 255:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 1 to 255")
    return int(text)
