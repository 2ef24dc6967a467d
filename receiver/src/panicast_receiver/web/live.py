# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as they come, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

One thread looks whether the database has changed, as long as somebody listens; each stream then asks for what
it has not sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple, TypeVar

from ..db.follower import Follower
from ..db.reader import Entry, Query
from ..errors import ReceiverError
from ..log import logger

T = TypeVar("T")
#: Seconds between looks at the database; without an event a stream says that it lives.
LOOK_S, BEAT_S = 0.5, 15.0
#: Streams at once: a browser keeps one for each tab.
MOST_STREAMS = 100
#: Records that a stream asks for at a time.
_BATCH = 100


class News(NamedTuple):
    """What came after a cursor, some of it at least, and where to go on when all of it is told; whether a
    record is kept back for its meaning."""

    entries: list[Entry]
    cursor: int
    held: bool = False


class Feed:
    """Wakes its streams when the database has changed."""

    def __init__(self, state_dir: Path) -> None:
        self._follower = Follower(state_dir)
        self._thread = ThreadPoolExecutor(1, "feed")
        self._wakers: set[asyncio.Event] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def streams(self) -> int:
        """How many listen."""
        return len(self._wakers)

    def stop(self) -> None:
        """End all streams."""
        self._stopping = True
        for waker in self._wakers:
            waker.set()
        self._thread.shutdown(wait=False)

    async def newest(self) -> int:
        """Where a stream begins that has missed nothing; raises ReceiverError."""
        return await self._in_thread(lambda: self._follower.reader().cursor())

    async def events(self, query: Query, cursor: int, gone: Callable[[], bool]) -> AsyncGenerator[str, None]:
        """The records that match and come after ``cursor``, each an event; between them comments. Ends when
        the listener is ``gone``."""
        waker = asyncio.Event()
        waker.set()
        self._wakers.add(waker)
        try:
            if self._watcher is None or self._watcher.done():
                self._watcher = asyncio.create_task(self._watch())
            yield f"retry: 3000\nid: {cursor}\n\n"
            told_at, held = time.monotonic(), False
            while True:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(waker.wait(), LOOK_S if held else BEAT_S)
                waker.clear()
                if self._stopping or gone():
                    return
                news = await self._in_thread(partial(self._look, query, cursor))
                for entry in news.entries:
                    cursor, told_at = entry.changed, time.monotonic()
                    yield f"id: {cursor}\nevent: record\ndata: {json.dumps(entry.summary)}\n\n"
                cursor, held = news.cursor, news.held
                if len(news.entries) == _BATCH:
                    waker.set()
                if time.monotonic() >= told_at + BEAT_S:
                    told_at = time.monotonic()
                    yield ":\n\n"
        finally:
            self._wakers.discard(waker)

    async def _watch(self) -> None:
        """Look for changes while anybody listens."""
        while self._wakers and not self._stopping:
            if await self._in_thread(self._has_changed):
                for waker in self._wakers:
                    waker.set()
            await asyncio.sleep(LOOK_S)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _has_changed(self) -> bool:
        try:
            return self._follower.changed()
        except ReceiverError as error:
            logger.debug("%s", error)
            return False

    def _look(self, query: Query, cursor: int) -> News:
        try:
            newest = self._follower.reader().cursor()
            entries = self._follower.after(cursor, query._replace(limit=_BATCH))
        except ReceiverError as error:
            logger.debug("%s", error)
            return News([], cursor)
        if self._follower.held or len(entries) == _BATCH:
            return News(entries, entries[-1].changed if entries else cursor, self._follower.held)
        return News(entries, max(cursor, newest))
