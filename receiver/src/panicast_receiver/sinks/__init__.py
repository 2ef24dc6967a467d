# SPDX-License-Identifier: GPL-2.0-or-later
"""Where records go besides the database: each sink reads along behind it, at its own pace.

There is no queue: what a sink has not got yet is what lies behind its cursor in the database, over restarts
too. A sink that fails is tried again, more and more seldom, and keeps nobody waiting.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Told(NamedTuple):
    """What a sink is told of a record: the object of ``show --json``, and a line for people."""

    record: dict[str, Any]
    line: str


class Sink(Protocol):
    """One place. ``deliver`` returns when the other side has the record, and raises OSError otherwise."""

    name: str

    def deliver(self, told: Told) -> None:
        """Hand the record over; the same one may come again."""


#: How syslog and the journal rank what a record tells.
PRIORITIES = {"panic": 2, "oops": 3, "test": 6}
