# SPDX-License-Identifier: GPL-2.0-or-later
"""The connections of strangers: so many stay open, of which the one heard of longest ago goes first.

Whoever comes may connect and say nothing, or half a request, for ever. Each keeps a file open, and when there
are no more files nobody can connect. Who may read is no stranger while he is answered.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

#: Half of the files that the unit lets us have open.
MOST = 512


class Connection(Protocol):
    """What aiohttp makes for each connection."""

    def force_close(self) -> None:
        """End it; does nothing where it has ended."""


class Visitors:
    """``heard`` and ``answering`` are told of each connection."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._strangers: OrderedDict[Connection, None] = OrderedDict()

    def heard(self, connection: Connection) -> None:
        """It began, or asked for something."""
        self._strangers[connection] = None
        self._strangers.move_to_end(connection)
        if len(self._strangers) > self._most:
            self._strangers.popitem(last=False)[0].force_close()

    @contextlib.contextmanager
    def answering(self, connection: Connection) -> Iterator[None]:
        """It may read, and is let be as long as this lasts."""
        self._strangers.pop(connection, None)
        try:
            yield
        finally:
            self.heard(connection)
