# SPDX-License-Identifier: GPL-2.0-or-later
"""Delivers records to other systems: each sink follows the database at its own pace.

There is no queue. A sink still has to get whatever comes after its cursor in the database, even
after a restart. The service retries a failing sink less and less often, and that sink holds up
nobody else.
"""

from __future__ import annotations

import contextlib
import errno
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ..log import logger


class Notice(NamedTuple):
    """What a sink gets for a record: the object of ``show --json``, and a line for people."""

    record: dict[str, Any]
    line: str


class Refused(Exception):
    """The other side will never accept what it was given. The text says why."""


class Sink(Protocol):
    """One destination. ``deliver`` returns when the other side has all of the records; the same
    ones may come again. It raises OSError if that failed, and Refused if trying again is useless.
    """

    name: str
    #: How many records it takes at once: more than one only if a repeated one does no harm.
    most: int

    def deliver(self, batch: Sequence[Notice]) -> None:
        """Hand the records over."""


@runtime_checkable
class Register(Protocol):
    """A destination that knows hosts by what receivers know of them, not only by their records."""

    def hear(self, hosts: Sequence[Mapping[str, Any]]) -> None:
        """Take in what is known of boots, see db/fleet.py; the same may come again. Raises like
        Sink.deliver()."""


@runtime_checkable
class Keeper(Protocol):
    """A destination from which we delete what need not be kept there."""

    def expire(self) -> None:
        """Delete some of it, if it is time. Raises like Sink.deliver()."""


class Away(OSError):
    """The other side asks to try again later: in ``retry_s`` seconds, or 0 if it does not say."""

    def __init__(self, text: str, retry_s: float) -> None:
        super().__init__(text)
        self.retry_s = retry_s


@contextlib.contextmanager
def too_long() -> Iterator[None]:
    """Turn an error about a datagram that is too long into Refused: it will always be too long."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            raise Refused("it is too long for a datagram") from error
        raise


#: The priority of a record for syslog and the journal.
PRIORITIES = {"panic": 2, "oops": 3, "test": 6}


def hand_over(sink: Sink, batch: Sequence[Notice], counts: Counter[str]) -> list[tuple[Notice, str]]:
    """Deliver a batch. Return the records that were refused, each alone, with the reason: they are
    logged and counted."""
    try:
        sink.deliver(batch)
    except Refused as error:
        if len(batch) > 1:
            return [refused for notice in batch for refused in hand_over(sink, [notice], counts)]
        counts["refused"] += 1
        logger.error("%s: record %s is refused: %s", sink.name, batch[0].record["id"], error)
        return [(batch[0], str(error))]
    counts["delivered"] += len(batch)
    return []


def hear(sink: Register, hosts: Sequence[Mapping[str, Any]], counts: Counter[str]) -> None:
    """Tell of boots. Those that are refused are logged and counted."""
    try:
        sink.hear(hosts)
    except Refused as error:
        counts["refused"] += len(hosts)
        logger.error("the state of %d hosts is refused: %s", len(hosts), error)
