# SPDX-License-Identifier: GPL-2.0-or-later
"""Where records go besides the database: each sink reads along behind it, at its own pace.

There is no queue: what a sink has not got yet is what lies behind its cursor in the database, over restarts
too. A sink that fails is tried again, more and more seldom, and keeps nobody waiting.
"""

from __future__ import annotations

import contextlib
import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from ..log import logger


class Told(NamedTuple):
    """What a sink is told of a record: the object of ``show --json``, and a line for people."""

    record: dict[str, Any]
    line: str


class Refused(Exception):
    """The other side will never take what it was given."""


class Sink(Protocol):
    """One place. ``deliver`` returns when the other side has the records, all of them; the same ones may come
    again. It raises OSError when that failed, and Refused when trying again is of no use."""

    name: str
    #: How many records it takes at once. More than one only where telling one again does no harm.
    most: int

    def deliver(self, batch: Sequence[Told]) -> None:
        """Hand the records over."""


class Away(OSError):
    """The other side says when to come again, in seconds."""

    def __init__(self, text: str, retry_s: float) -> None:
        super().__init__(text)
        self.retry_s = retry_s


@contextlib.contextmanager
def too_long() -> Iterator[None]:
    """What is too long for a datagram is so for ever."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            raise Refused("it is too long for a datagram") from error
        raise


#: How syslog and the journal rank what a record tells.
PRIORITIES = {"panic": 2, "oops": 3, "test": 6}


def hand_over(sink: Sink, batch: Sequence[Told], counts: Counter[str]) -> list[tuple[Told, str]]:
    """Deliver a batch; returns those that are refused, each alone, and why: they are logged and counted."""
    try:
        sink.deliver(batch)
    except Refused as error:
        if len(batch) > 1:
            return [refused for told in batch for refused in hand_over(sink, [told], counts)]
        counts["refused"] += 1
        logger.error("%s: record %s is refused: %s", sink.name, batch[0].record["id"], error)
        return [(batch[0], str(error))]
    counts["delivered"] += len(batch)
    return []
