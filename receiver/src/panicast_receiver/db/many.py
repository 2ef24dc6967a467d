# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks about many things at once: a server elsewhere answers a question each millisecond, not each
microsecond."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Callable

Ask = Callable[[str, list[Any]], Iterator[Any]]
#: Values of one question; older SQLites take a thousand.
_AT_ONCE = 500


def of_many(ask: Ask, sql: str, keys: Sequence[str], *values: Any) -> Iterator[Any]:
    """Yield the rows of a question about keys, for which ``sql`` has ``{}``; ``values`` come after
    them."""
    for begin in range(0, len(keys), _AT_ONCE):
        some = keys[begin : begin + _AT_ONCE]
        yield from ask(sql.format(", ".join("?" * len(some))), [*some, *values])
