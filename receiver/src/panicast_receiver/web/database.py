# SPDX-License-Identifier: GPL-2.0-or-later
"""The database for a program that waits for many things at once: each question is asked in a thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, TypeVar

from ..db.reader import Reader

T = TypeVar("T")
#: Questions that are asked at the same time; more wait.
THREADS = 4


class Database:
    """A view of a state folder. It is opened for each question, in a millisecond: what the service does with
    the file meanwhile, starting, stopping or making a new one, is nobody's concern."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._threads = ThreadPoolExecutor(THREADS, "reader")
        #: For the one who asks whether we live: he does not queue behind those who ask for more.
        self._quick = ThreadPoolExecutor(1, "quick reader")

    async def ask(self, question: Callable[[Reader], T], quick: bool = False) -> T:
        """What ``question`` says of the database now, a ``quick`` one before all others; raises ReceiverError
        where it cannot be read."""

        def answer() -> T:
            reader = Reader(self.state_dir)
            try:
                return question(reader)
            finally:
                reader.close()

        return await asyncio.get_running_loop().run_in_executor(
            self._quick if quick else self._threads, answer
        )

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)
        self._quick.shutdown(wait=False)
