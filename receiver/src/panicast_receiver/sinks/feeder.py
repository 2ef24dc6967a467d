# SPDX-License-Identifier: GPL-2.0-or-later
"""A sink's thread: follows the records from the sink's cursor on, delivers them and moves the
cursor."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Callable, NamedTuple

from ..db import queueing, schema
from ..db.damage import DamagedError
from ..db.follower import Follower
from ..db.reader import Entry, Query
from ..errors import NotFoundError, ReceiverError
from ..log import logger
from ..threads import name_thread
from . import Keeper, Notice, Refused, Register, Sink, cursors, hand_over, hear
from .telling import notice_of

#: Seconds between looks for new records; between tries at first, and at most.
LOOK_S, RETRY_S, LONGEST_S = 0.25, 1.0, 300.0
#: Seconds for which we obey a server that says when to try again.
LONGEST_WISH_S = 3600.0
#: Bytes of text in a batch, unpacked; several copies of it are in memory.
BATCH_BYTES = 4 << 20
#: In a burst the thread rests as long as it works, at most so many seconds, because it takes
#: Python's lock from the capturing thread.
BURST_S = 0.25
#: A record that failed so often is at fault itself if a later one succeeds.
TRIES = 4
#: Seconds between two times that what hosts say is passed on, also if it failed; boots at a time.
HOSTS_S, HOSTS_RETRY_S, HOSTS = 5.0, 15.0, 256
#: How many records after a failing one are tried, and for how many seconds.
AHEAD, AHEAD_S = 4096, 10.0


class Moved(NamedTuple):
    """A step of a sink's cursor, see cursors.move()."""

    before: int
    after: int
    taken: Sequence[bytes]
    refused: Sequence[tuple[bytes, str]]


class Feeder(threading.Thread):
    """Runs until ``stop``. ``counts`` says what was delivered and what failed; ``busy`` tells of
    bursts, ``usable`` whether the database may be opened; ``suspect`` is called when the file seems
    damaged.

    Delivers what is stored after its creation. Raises ReceiverError.
    """

    def __init__(
        self,
        sink: Sink,
        state_dir: Path,
        busy: Callable[[], bool] = lambda: False,
        suspect: Callable[[str], None] = lambda _: None,
        usable: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name=sink.name, daemon=True)
        self.counts: Counter[str] = Counter()
        self._sink = sink
        self._path = state_dir / schema.FILE_NAME
        self._follower = Follower(state_dir)
        self._busy = busy
        self._suspect = suspect
        self._usable = usable
        #: Up to which change hosts were passed on, and when to do it again. After a start all are: what was
        #: known already changes nothing.
        self._hosts_told, self._hosts_at, self._hosts_complaint = 0, 0.0, ""
        self._stopping = threading.Event()
        #: How often the first waiting record has failed.
        self._tries = 0
        #: What was delivered and is not in the database yet, oldest first, and why not.
        self._owed: list[Moved] = []
        self._unwritten: sqlite3.OperationalError | None = None
        with closing(schema.open_writer(self._path)) as database:
            cursors.begin(database, self.name)

    def stop(self) -> None:
        """Ask the thread to finish. It delivers the rest after the next start."""
        self._stopping.set()

    def run(self) -> None:
        """Run the thread."""
        name_thread(self.name)
        pause = LOOK_S
        complaint: str | None = None
        while not self._stopping.wait(pause):
            if not self._usable():
                continue
            try:
                if complaint is not None or self._follower.changed():
                    self._deliver_all()
                elif time.monotonic() < self._hosts_at:
                    continue
                self._pass_hosts_on()
                if complaint is not None:
                    logger.warning("%s: works again", self.name)
                    self._complain("")
                pause, complaint, self.counts["failing"] = LOOK_S, None, 0
            # Whatever a library may raise: a thread that ended by itself would never tell again.
            except Exception as error:
                if str(error) != complaint:
                    logger.warning("%s: %s; trying again until it works", self.name, error)
                    self._complain(str(error))
                complaint = str(error)
                if isinstance(error, DamagedError):
                    # Only the thread that writes may set the file aside.
                    self._suspect(complaint)
                self.counts["failing"] = 1
                self.counts["failed"] += 1
                wish = min(LONGEST_WISH_S, getattr(error, "retry_s", 0.0))
                # A disk that is full for an hour is no reason to tell nobody for minutes after it.
                longest = RETRY_S if _is_the_databases(error) else LONGEST_S
                pause = max(wish, min(longest, max(RETRY_S, 2 * pause)))
        self._follower.close()

    def _complain(self, complaint: str) -> None:
        try:
            with closing(schema.open_writer(self._path)) as database:
                cursors.complain(database, self.name, complaint)
        except Exception as error:
            logger.debug("%s: %s", self.name, error)

    def _deliver_all(self) -> None:
        """Deliver everything after the cursor. Raises what went wrong."""
        # After a power cut it delivers again what the disk does not know yet: to wait for the disk each time
        # would keep the store from writing, and what comes next from being told.
        with closing(schema.open_writer(self._path, lasting=False)) as database:
            # A file without this sink was begun in place of a damaged one: all in it is to be told.
            cursor = cursors.begin(database, self.name, 0)
            if self._owed and self._owed[0].before != cursor:
                # It was moved meanwhile, or is another file's.
                self._owed.clear()
            cursor = self._owed[-1].after if self._owed else cursor
            if not self._note(database):
                return
            if not self._unwritten:
                self._deliver_aside(database)
            began = time.monotonic()
            while entries := self._next(cursor):
                entries, refused = self._deliver(entries)
                taken = {entry.identity for entry in entries} - {identity for identity, _ in refused}
                last = entries[-1].changed
                self._owed.append(Moved(cursor, last, sorted(taken), refused))
                if not self._note(database):
                    return
                cursor = last
                # Of records that are told at once there are never many.
                urgent = any(entry.turn == queueing.AT_ONCE for entry in entries)
                rest = min(BURST_S, time.monotonic() - began) if self._busy() and not urgent else 0
                if self._stopping.wait(rest):
                    return
                began = time.monotonic()
            if self._unwritten:
                raise self._unwritten

    def _pass_hosts_on(self) -> None:
        """Pass on what hosts have said since the last time, if that is long ago, and delete there what need
        not be kept."""
        if not isinstance(self._sink, Register):
            self._hosts_at = float("inf")
            return
        if time.monotonic() < self._hosts_at:
            return
        try:
            while not self._stopping.is_set():
                changed, hosts = self._follower.reader().heard(self._hosts_told, HOSTS)
                if not hosts:
                    break
                hear(self._sink, hosts, self.counts)
                self._hosts_told = changed
            if isinstance(self._sink, Keeper):
                self._sink.expire()
        except (OSError, Refused) as error:
            # Records must not wait for that: who takes them may take no hosts.
            self._hosts_at = time.monotonic() + HOSTS_RETRY_S
            if str(error) != self._hosts_complaint:
                logger.warning("%s: hosts: %s; trying again until it works", self.name, error)
            self._hosts_complaint = str(error)
            return
        self._hosts_at, self._hosts_complaint = time.monotonic() + HOSTS_S, ""

    def _note(self, database: sqlite3.Connection) -> bool:
        """Write down what was delivered, as far as the disk has room for it; return False if
        `resend` moved the cursor meanwhile.

        What has no room is delivered all the same, once: it is written down later.
        """
        self._unwritten = None
        while self._owed:
            try:
                moved = cursors.move(database, self.name, *self._owed[0])
            except sqlite3.OperationalError as error:
                self._unwritten = error
                return True
            if not moved:
                self._owed.clear()
                return False
            del self._owed[0]
        return True

    def _deliver_aside(self, database: sqlite3.Connection) -> None:
        """Deliver what was set aside and must be sent again."""
        while identity := cursors.again(database, self.name):
            entry = self._follower.reader().by_identity(identity)
            try:
                refused = self._hand_over([entry]) if entry else []
            except OSError as error:
                # Aside again: it must not keep the others from being told.
                refused = [(identity, str(error))]
            cursor = cursors.begin(database, self.name)
            cursors.move(database, self.name, cursor, cursor, [identity] if not refused else [], refused)

    def _deliver(self, entries: list[Entry]) -> tuple[list[Entry], list[tuple[bytes, str]]]:
        """Deliver records. Return those that are dealt with, and those of them that are refused.
        Raises what went wrong, unless it goes wrong with the first one alone."""
        try:
            refused = self._hand_over(entries)
        except OSError:
            self._tries += 1
            following = self._follower.after(entries[0].changed, Query(limit=AHEAD))
            if self._tries < TRIES or len(entries) > 1 or not following:
                raise
            place, refused = self._look_ahead(following)
            before = [*entries, *following[:place]]
            for entry in before:
                refused += self._try_last(entry)
            # The next one may be like them: then it needs no more tries.
            self._tries = TRIES - 1
            return [*before, following[place]], refused
        self._tries = 0
        return entries, refused

    def _look_ahead(self, entries: Sequence[Entry]) -> tuple[int, list[tuple[bytes, str]]]:
        """Try the first, the second, the fourth record and so on, because any number that was made
        to fail may come in a row. Return the place of one that is accepted, and the refusal of it.
        Raises what went wrong with the last one."""
        until, step = time.monotonic() + AHEAD_S, 1
        while True:
            place = min(step, len(entries)) - 1
            try:
                return place, self._hand_over([entries[place]])
            except OSError:
                if step >= len(entries) or time.monotonic() > until or self._stopping.is_set():
                    raise
            step *= 2

    def _try_last(self, entry: Entry) -> list[tuple[bytes, str]]:
        """Try once more, now that another one was accepted: the other side may just have come back."""
        try:
            return self._hand_over([entry])
        except OSError as error:
            logger.error("%s: record %s is set aside: %s", self.name, entry.summary["id"], error)
            self.counts["refused"] += 1
            return [(entry.identity, str(error))]

    def _hand_over(self, entries: Sequence[Entry]) -> list[tuple[bytes, str]]:
        reader = self._follower.reader()
        batch: list[Notice] = []
        refused: list[tuple[bytes, str]] = []
        for entry in entries:
            try:
                batch.append(notice_of(reader, entry))
            except NotFoundError:
                # It was deleted meanwhile.
                continue
            except ReceiverError:
                raise
            # Whatever the disk has made of it: it must not keep the others from being told.
            except Exception as error:
                logger.error("%s: record %s cannot be read: %s", self.name, entry.summary["id"], error)
                self.counts["refused"] += 1
                refused.append((entry.identity, f"it cannot be read: {error}"))
        if batch:
            found = hand_over(self._sink, batch, self.counts)
            refused += [(bytes.fromhex(one.record["identity"]), why) for one, why in found]
        return refused

    def _next(self, cursor: int) -> list[Entry]:
        """Return what comes after the cursor, at most a batch; a single record after an error."""
        found: list[Entry] = []
        size = 0
        for entry in self._follower.after(cursor, Query(limit=1 if self._tries else self._sink.most)):
            size += entry.summary["bytes"]
            if found and size > BATCH_BYTES:
                break
            found.append(entry)
        return found


def _is_the_databases(error: Exception) -> bool:
    """Tell whether not the sink is at fault but the database, which is full or locked."""
    ours = isinstance(error, (sqlite3.OperationalError, ReceiverError))
    return ours and not isinstance(error, DamagedError)
