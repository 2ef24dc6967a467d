# SPDX-License-Identifier: GPL-2.0-or-later
"""The threads that query the database and make long pages, so that the thread that serves everybody
never waits for either. Each job has a deadline, so that nobody waits for ever behind others, and
visitors take turns (fair.py)."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TypeVar

from ..db.engine import Place
from ..db.follower import Follower
from ..db.reader import Reader
from ..db.schema import TOO_LONG
from ..errors import ReceiverError
from .fair import FairThreads

T = TypeVar("T")
#: Jobs that run at once; more wait. Each running one takes Python's lock from the thread that
#: serves everybody.
THREADS = 2
#: Seconds for a question or a page, waiting included.
DEADLINE_S = 10.0


class Database:
    """A view of a database. It opens that for each question, in a millisecond: so it does not matter if
    the service or a server starts, stops or replaces a file meanwhile. ``look`` keeps one open."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._threads = FairThreads(THREADS, "reader")
        #: Answers /healthz, which so never waits behind other questions. It keeps its view open,
        #: because opening one takes many steps, each of which waits for Python's lock.
        self._quick = ThreadPoolExecutor(1, "quick reader")
        self._open = Follower(place)

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """Return what ``question`` says of the database. Raises ReceiverError if the database
        cannot be read, or the answer takes too long."""

        def answer(deadline: float) -> T:
            reader = Reader(self._place)
            try:
                reader.until(deadline)
                return question(reader)
            finally:
                reader.close()

        return await self.make(answer)

    async def look(self) -> None:
        """Raise ReceiverError if the database cannot be read. This goes before all questions."""

        def answer(deadline: float) -> None:
            try:
                reader = self._open.reader()
                reader.until(deadline)
                reader.cursor()
            except ReceiverError:
                self._open.close()
                raise

        deadline = time.monotonic() + DEADLINE_S
        await asyncio.get_running_loop().run_in_executor(self._quick, answer, deadline)

    async def make(self, work: Callable[[float], T]) -> T:
        """Return what ``work`` makes before the deadline that it gets. Raises what it raises."""
        deadline = time.monotonic() + DEADLINE_S

        def begin() -> T:
            check(deadline)
            return work(deadline)

        return await self._threads.run(begin)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()
        self._quick.submit(self._open.close)
        self._quick.shutdown(wait=False)


def check(deadline: float) -> None:
    """Raise ReceiverError when it is over."""
    if time.monotonic() > deadline:
        raise ReceiverError(TOO_LONG)
