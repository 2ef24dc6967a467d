# SPDX-License-Identifier: GPL-2.0-or-later
"""Server-sent events of new records
(https://html.spec.whatwg.org/multipage/server-sent-events.html).

While somebody listens, one thread checks whether the database has changed; each stream then asks
for what it has not sent. No stream lasts for ever: it ends after a while, or when its place is
needed. The listener then reconnects and continues where it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import NamedTuple

from ..db.engine import Place
from ..db.follower import Follower
from ..db.reader import Entry, Query, Reader
from ..errors import ReceiverError
from ..log import logger
from .fair import VISITOR, FairThreads, Places

#: Seconds between looks at the database; without an event a stream says that it lives.
LOOK_S, BEAT_S = 0.5, 15.0
#: Streams at once: a browser keeps one for each tab.
MOST_STREAMS = 100
#: Seconds that a stream lasts, that a listener may take to read an event, and that a look may take.
LASTS_S, TAKES_S, _LOOKS_S = 3600.0, 30.0, 2.0
#: Records that a stream asks for at a time.
_BATCH = 100


class News(NamedTuple):
    """What came after a cursor: at most a batch of entries, the cursor to go on from, and whether a
    record is held back until its meaning is known."""

    entries: list[Entry]
    cursor: int
    held: bool = False


class Stream:
    """A listener's stream of events."""

    def __init__(self) -> None:
        self.waker = asyncio.Event()
        self.waker.set()
        self._until = time.monotonic() + LASTS_S
        self._ended = False

    def end(self) -> None:
        """End the stream: it gets no more events."""
        self._ended = True
        self.waker.set()

    @property
    def is_over(self) -> bool:
        """Tell whether the stream was ended, or has lasted long enough."""
        return self._ended or time.monotonic() > self._until


class Feed:
    """Wakes its streams when the database has changed."""

    def __init__(self, place: Place) -> None:
        self._follower = Follower(place)
        self._thread = FairThreads(1, "feed")
        self._streams: set[Stream] = set()
        self._places = Places(MOST_STREAMS)
        self._watcher: asyncio.Task[None] | None = None

    @property
    def streams(self) -> int:
        """Return the number of listeners."""
        return len(self._streams)

    def join(self) -> Stream | None:
        """Return a stream for this visitor; None if there is no place for another one."""
        stream = Stream()
        if not self._places.take(stream, stream.end):
            return None
        self._streams.add(stream)
        return stream

    def leave(self, stream: Stream) -> None:
        """Note that the listener of a stream has gone."""
        self._streams.discard(stream)
        self._places.leave(stream)

    def stop(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.end()
        self._thread.close()

    async def newest(self) -> int:
        """Return the cursor of a stream that begins now. Raises ReceiverError."""
        return await self._thread.run(lambda: self._reader().cursor())

    async def events(self, stream: Stream, query: Query, cursor: int) -> AsyncGenerator[str, None]:
        """Yield an event for each record that matches and comes after ``cursor``, and comments in
        between."""
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        yield f"retry: 3000\nid: {cursor}\n\n"
        told_at, held = time.monotonic(), False
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stream.waker.wait(), LOOK_S if held else BEAT_S)
            stream.waker.clear()
            if stream.is_over:
                return
            news = await self._thread.run(partial(self._look, query, cursor))
            for entry in news.entries:
                cursor, told_at = entry.changed, time.monotonic()
                yield f"id: {cursor}\nevent: record\ndata: {json.dumps(entry.summary)}\n\n"
            cursor, held = news.cursor, news.held
            if len(news.entries) == _BATCH:
                stream.waker.set()
            if time.monotonic() >= told_at + BEAT_S:
                told_at = time.monotonic()
                yield ":\n\n"

    async def _watch(self) -> None:
        """Look for changes while anybody listens."""
        # It looks for all of them: nobody's turn is used up by it.
        VISITOR.set("")
        while self._streams and not all(stream.is_over for stream in self._streams):
            if await self._thread.run(self._has_changed):
                for stream in self._streams:
                    stream.waker.set()
            await asyncio.sleep(LOOK_S)

    def _reader(self) -> Reader:
        reader = self._follower.reader()
        reader.until(time.monotonic() + _LOOKS_S)
        return reader

    def _has_changed(self) -> bool:
        try:
            self._reader()
            return self._follower.changed()
        except ReceiverError as error:
            logger.debug("%s", error)
            return False

    def _look(self, query: Query, cursor: int) -> News:
        try:
            newest = self._reader().cursor()
            entries = self._follower.after(cursor, query._replace(limit=_BATCH))
        except ReceiverError as error:
            logger.debug("%s", error)
            return News([], cursor)
        if self._follower.held or len(entries) == _BATCH:
            return News(entries, entries[-1].changed if entries else cursor, self._follower.held)
        return News(entries, max(cursor, newest))
