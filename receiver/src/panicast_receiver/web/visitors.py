# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits the open connections of strangers. If there are too many, it closes the one that was
silent the longest.

Anybody may connect and then say nothing, or half a request, for ever. Each connection keeps a file
open, and without free files nobody can connect. A visitor who may read is not a stranger while he
is answered.
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
        """End the connection; does nothing if it has ended."""


class Visitors:
    """``heard`` and ``answering`` are told of each connection."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._strangers: OrderedDict[Connection, None] = OrderedDict()

    def heard(self, connection: Connection) -> None:
        """Note that a connection began, or sent a request."""
        self._strangers[connection] = None
        self._strangers.move_to_end(connection)
        if len(self._strangers) > self._most:
            self._strangers.popitem(last=False)[0].force_close()

    @contextlib.contextmanager
    def answering(self, connection: Connection) -> Iterator[None]:
        """Keep the connection of somebody who may read for as long as this lasts."""
        self._strangers.pop(connection, None)
        try:
            yield
        finally:
            self.heard(connection)
