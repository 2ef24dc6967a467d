# SPDX-License-Identifier: GPL-2.0-or-later
"""The thread that has records analysed by a separate process, so that no text harms anything else."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Callable

from ..db import schema
from ..db.meanings import CRASHES, Found, Meanings, Task
from ..errors import ReceiverError
from ..log import logger
from ..meaning import NOT_UNDERSTOOD, Meaning, not_understood
from ..meaning.process import NotStarted, Process, Stopped
from ..threads import name_thread

#: Records that are analysed in one batch.
BATCH = 16
#: Seconds between looks for records that somebody else stored; between batches in a burst; between tries
#: to start the process, at most.
LOOK_S, BURST_S, LONGEST_S = 5.0, 1.0, 60.0
#: Seconds between looks for what is urgent, in a burst.
LOOK_BURST_S = 0.2
#: Seconds after which results are stored, although others of the batch are not ready.
KEPT_S = 0.25
#: Seconds between looks for another database while there is none.
AWAY_S = 0.2


class Explainer(threading.Thread):
    """Runs until ``stop``. ``busy`` tells of bursts, ``usable`` whether the database may be opened.
    ``located`` says that file and line are wanted, ``seals`` that hosts must seal.
    ``counts``: the crashes that were understood, by severity, and those that were not."""

    def __init__(
        self,
        path: Path,
        busy: Callable[[], bool] = lambda: False,
        usable: Callable[[], bool] = lambda: True,
        located: bool = False,
        seals: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(name="meaning", daemon=True)
        self.counts: Counter[str] = Counter()
        self._path = path
        self._busy = busy
        self._usable = usable
        self._located = located
        self._seals = seals
        self._process = Process()
        self._news = threading.Event()
        self._stopping = threading.Event()

    def wake(self) -> None:
        """Note that there are new records."""
        self._news.set()

    def stop(self) -> None:
        """Stop at once, whatever is being analysed."""
        self._stopping.set()
        self._process.stop()
        self._news.set()

    def run(self) -> None:
        """Run the thread."""
        name_thread(self.name)
        pause = 1.0
        while not self._stopping.is_set():
            self._news.clear()
            if not self._usable():
                self._stopping.wait(AWAY_S)
                continue
            try:
                with closing(Meanings(self._path, self._located, self._seals)) as meanings:
                    self._work(meanings)
                pause = 1.0
            except Stopped:
                return
            except NotStarted as error:
                logger.warning("%s", error)
                self._stopping.wait(pause)
                pause = min(LONGEST_S, 2 * pause)
            except (sqlite3.Error, ReceiverError, OSError) as error:
                # A full disk: whoever writes the next record complains and waits.
                said = schema.explain(error, self._path) if isinstance(error, sqlite3.Error) else str(error)
                logger.debug("%s", said)
                self._stopping.wait(pause)
            # Whatever it may be: a thread that ended by itself would never look at a text again.
            except Exception as error:
                logger.error("cannot analyse texts: %s: %s; trying again", type(error).__name__, error)
                self._stopping.wait(pause)
                pause = min(LONGEST_S, 2 * pause)

    def _work(self, meanings: Meanings) -> None:
        """Analyse everything, and whatever comes, until the file is replaced. Raises what went
        wrong."""
        while not self._stopping.is_set() and not meanings.replaced():
            self._news.clear()
            if not meanings.waiting():
                if not meanings.index(BATCH) and not meanings.merge():
                    meanings.fold()
                    self._news.wait(LOOK_S)
                continue
            self._process.start()
            self._look_at(meanings, meanings.begin(BATCH))
            if self._busy():
                self._rest(meanings)

    def _rest(self, meanings: Meanings) -> None:
        """Leave the machine to a burst, unless somebody waits for a meaning."""
        until = time.monotonic() + BURST_S
        while not meanings.urgent() and time.monotonic() < until and not self._stopping.wait(LOOK_BURST_S):
            # Else those who store do it, and all that comes waits.
            meanings.fold()

    def _look_at(self, meanings: Meanings, tasks: list[Task]) -> None:
        """Analyse the tasks and store what is found. If that takes long, store in between, so that
        nothing waits for a hostile text."""
        found: list[tuple[Task, Found]] = []
        done, kept_at = 0, time.monotonic()
        try:
            for task in tasks:
                found.append((task, self._meaning(task)))
                done += 1
                if time.monotonic() - kept_at > KEPT_S:
                    meanings.end(found)
                    found, kept_at = [], time.monotonic()
        finally:
            meanings.end(found, tasks[done:])

    def _meaning(self, task: Task) -> Found:
        if task.type not in CRASHES:
            return Meaning()
        self._process.start()
        found = self._process.ask(task.text, task.reason)
        if isinstance(found, str):
            self.counts["not understood"] += 1
            logger.warning("record %s is not understood: %s", task.id, found)
            return found
        if not found.title:
            found = not_understood(reason=task.reason)
        self.counts["not understood" if found.signature == NOT_UNDERSTOOD else found.severity] += 1
        return found
