# SPDX-License-Identifier: GPL-2.0-or-later
"""Shares scarce resources among the visitors: however much one asks for, the others get their part.

A visitor is known by an address: see tries.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Callable, NamedTuple, TypeVar

from ..errors import ReceiverError

T = TypeVar("T")
#: The visitor for whom the current code works.
VISITOR: ContextVar[str] = ContextVar("visitor", default="")
#: Requests of one visitor that may wait, and of all.
_MOST_OF_ONE, _MOST_OF_ALL = 32, 256


class FairThreads:
    """Threads that work for visitors in turn, for each on one thing at a time."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._free = threads
        self._working_for: set[str] = set()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, when it is the visitor's turn. Raises ReceiverError for one
        who asks for too much at once."""
        who, loop = VISITOR.get(), asyncio.get_running_loop()
        await self._turn(who, loop.create_future())

        def is_done(_: Future[T]) -> None:
            # Whoever waited for it may have gone; the thread is free now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._leave, who)

        future = self._threads.submit(work)
        future.add_done_callback(is_done)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    async def _turn(self, who: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.setdefault(who, deque())
        if len(waiting) >= _MOST_OF_ONE or sum(map(len, self._waiting.values())) >= _MOST_OF_ALL:
            raise ReceiverError("too many requests at once; wait for the answers, then ask again")
        waiting.append(turn)
        self._call_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(who)
            raise

    def _call_next(self) -> None:
        for who in list(self._waiting):
            waiting = self._waiting[who]
            while waiting and waiting[0].cancelled():
                waiting.popleft()
            if waiting and self._free and who not in self._working_for:
                self._free -= 1
                self._working_for.add(who)
                self._waiting.move_to_end(who)
                waiting.popleft().set_result(None)
            if not waiting:
                del self._waiting[who]

    def _leave(self, who: str) -> None:
        self._free += 1
        self._working_for.discard(who)
        self._call_next()


class _Taken(NamedTuple):
    who: str
    end: Callable[[], None]


class Places:
    """A limited number of places.

    When all are taken, a visitor gets one of whoever has the most places, unless he would then have
    more than that one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[object, _Taken] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, place: object, end: Callable[[], None]) -> bool:
        """Give the visitor a place and tell whether he got one. ``end`` is called if it is taken
        away."""
        who = VISITOR.get()
        if len(self._taken) >= self._most:
            counts = Counter(taken.who for taken in self._taken.values())
            richest, count = counts.most_common(1)[0]
            if count <= counts[who] + 1:
                return False
            oldest = next(one for one, taken in self._taken.items() if taken.who == richest)
            self._taken.pop(oldest).end()
        self._taken[place] = _Taken(who, end)
        return True

    def leave(self, place: object) -> None:
        """Free the place; does nothing if it was taken away."""
        self._taken.pop(place, None)
