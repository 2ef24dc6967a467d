# SPDX-License-Identifier: GPL-2.0-or-later
"""Follows the records as they are written: for `follow`, for the web page's feed, for the sinks.

A record is passed on when its meaning is known, or the analysis takes too long; in that case the
meaning is a change of its own and follows. A record that had to wait for its turn does not wait for
its meaning as well.
"""

from __future__ import annotations

from . import changes, queueing
from .engine import Place
from .meanings import PATIENCE_S
from .reader import Entry, Query, Reader


class Follower:
    """One view of a database, whatever happens to the file. Raises ReceiverError."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._reader: Reader | None = None
        self._seen: tuple[int, int] | None = None
        #: Whether the last look held a record back: then look again, even if nothing changed.
        self.held = False

    def close(self) -> None:
        """Close the database."""
        if self._reader:
            self._reader.close()
        self._reader = None

    def reader(self) -> Reader:
        """Return the reader; a new one if it sees no more of what others write."""
        reader = self._reader
        if reader and reader.is_stale():
            self.close()
        self._reader = self._reader or Reader(self._place)
        return self._reader

    def changed(self) -> bool:
        """Tell whether anybody has written since the last call, or something was held back."""
        reader = self.reader()
        state = id(reader), reader.data_version()
        changed, self._seen = state != self._seen, state
        return changed or self.held

    def after(self, cursor: int, query: Query) -> list[Entry]:
        """Return the matching records after ``cursor`` that may be passed on; ``limit`` keeps the
        first ones."""
        found = self.reader().changed_since(cursor, query)
        for place, entry in enumerate(found):
            pending = entry.summary["meaning"] == "pending" and entry.turn == queueing.AT_ONCE
            if pending and changes.age_s(entry.changed, entry.received_ns) < PATIENCE_S:
                self.held = True
                return found[:place]
        self.held = False
        # Whether it fits the words is known when it comes again, with its meaning.
        return [entry for entry in found if not (query.search and entry.summary["meaning"] == "pending")]
