# SPDX-License-Identifier: GPL-2.0-or-later
"""The store thread: commits what is handed over, then announces it. Never the other way round."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from typing import Callable, NamedTuple

from ..db import damage, schema
from ..db.store import Store, Stored
from ..errors import ReceiverError
from ..log import NOTICE, logger
from ..records import present
from ..records.record import Record
from ..threads import name_thread
from ..wire.v1 import STATE_TYPES
from .handoff import Handoff

#: Records in one transaction at most: alone when little happens, together sharing an fsync under load.
BATCH = 256
#: Seconds between looks for records that need not be kept.
RETAIN_S = 600.0
#: Seconds between tries while the disk is full or failing, and for how long to go on once asked to stop.
RETRY_S, LAST_TRIES_S = 1.0, 5.0


class Retention(NamedTuple):
    """What is kept: days, bytes of the database, records of each host; 0: no limit."""

    days: float = 0
    size: int = 0
    per_host: int = 0

    def surplus(self, store: Store, now_ns: int) -> list[bytes]:
        """Some of the records that need not be kept."""
        before = now_ns - int(self.days * 86400e9) if self.days else None
        found: list[bytes] = []
        if before is not None or self.per_host:
            found = store.surplus(before, self.per_host or None, BATCH)
        if not found and self.size:
            found = store.oversize(self.size, BATCH)
        return found


class Committer(threading.Thread):
    """Runs until the hand-off is closed and empty; calls ``tell`` when it has stored something. ``failed``
    tells that records could not be kept."""

    def __init__(self, handoff: Handoff, store: Store, tell: Callable[[], None] = lambda: None) -> None:
        super().__init__(name="store", daemon=True)
        self.counts: Counter[str] = Counter()
        self.failed = False
        self.beat_at = time.monotonic()
        self._handoff = handoff
        self._store = store
        self._tell = tell
        self._retention = Retention()
        self._retain_at = 0.0
        self._stopping = threading.Event()
        #: Why the file may be damaged; empty while nobody has reason to think so.
        self._suspicion = ""

    def suspect(self, why: str) -> None:
        """Look whether the file is damaged, when nothing else is to do; who reads it asks for that."""
        self._suspicion = why

    def retain(self, retention: Retention) -> None:
        """Keep so much from now on; another thread may ask for it."""
        self._retention = retention
        self._retain_at = 0.0

    def stop(self) -> None:
        """No more endless tries on a full disk: the service is going down."""
        self._stopping.set()

    def run(self) -> None:
        """The thread."""
        name_thread(self.name)
        batch: list[Record] | None = []
        try:
            while batch is not None:
                self.beat_at = time.monotonic()
                if batch:
                    for stored in self._write(batch):
                        self.counts[stored.outcome] += 1
                        _announce(stored)
                    self._tell()
                else:
                    self._look_for_damage()
                    self._retain()
                batch = self._handoff.take(BATCH, 0 if batch else 1.0)
        except sqlite3.Error as error:
            self.failed = True
            lost = len(batch or ()) + self._handoff.abandon()
            logger.error("%s; %d records could not be kept", schema.explain(error, self._store.path), lost)
        finally:
            self._handoff.abandon()

    def _beat(self) -> None:
        self.beat_at = time.monotonic()

    def _look_for_damage(self) -> None:
        if self._suspicion:
            error, self._suspicion = sqlite3.DatabaseError(self._suspicion), ""
            if not self._store.is_sound(self._beat):
                self._begin_anew(error)

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """Go on with a new file, however long it takes until there is one; the end of patience raises."""
        complained = False
        while True:
            self._beat()
            try:
                self._store.begin_anew(error)
            except (ReceiverError, OSError) as problem:
                if not complained:
                    logger.error("%s; trying again until it works", problem)
                    complained = True
                if self._stopping.wait(RETRY_S):
                    raise error from problem
            else:
                self.counts["databases put aside"] += 1
                return

    def _is_damage(self, error: sqlite3.Error) -> bool:
        """Whether the file was at fault, and there is another one now."""
        if not damage.is_damage(error, self._store.path):
            return False
        self._begin_anew(error)
        return True

    def _retain(self) -> None:
        """Delete what need not be kept, a batch at a time, when nothing else is to do."""
        if time.monotonic() < self._retain_at:
            return
        try:
            surplus = self._retention.surplus(self._store, time.time_ns())
            if surplus:
                self._store.delete(surplus)
                self.counts["deleted by retention"] += len(surplus)
            more = bool(surplus) or self._store.shrink()
        except sqlite3.DatabaseError as error:
            if not self._is_damage(error):
                logger.warning("%s", schema.explain(error, self._store.path))
            more = False
        if not more:
            self._retain_at = time.monotonic() + RETAIN_S

    def _write(self, batch: list[Record]) -> list[Stored]:
        """Commit ``batch``, however long the disk stays full; into a new file where this one is damaged. The
        end of patience raises."""
        complained = False
        give_up_at: float | None = None
        while True:
            try:
                stored = self._store.write(batch)
                if complained:
                    logger.warning("%s can be written again", self._store.path)
                return stored
            except sqlite3.DatabaseError as error:
                self._beat()
                # Looked at once, for that may mean to read all of it.
                if not complained and self._is_damage(error):
                    continue
                if not isinstance(error, sqlite3.OperationalError):
                    raise
                if not complained:
                    logger.error("%s; trying again until it works", schema.explain(error, self._store.path))
                    complained = True
                if self._stopping.is_set():
                    give_up_at = give_up_at or time.monotonic() + LAST_TRIES_S
                    if time.monotonic() > give_up_at:
                        raise
                    time.sleep(RETRY_S)
                else:
                    self._stopping.wait(RETRY_S)


def _announce(stored: Stored) -> None:
    record, outcome = stored.record, stored.outcome
    if outcome == "refused":
        logger.error("record %s from %s could not be stored", record.id, stored.host)
    if outcome not in ("new", "completed"):
        return
    if record.type in STATE_TYPES:
        logger.info("host %s says %s", stored.host, record.type)
        return
    missing = sum(gap.length for gap in record.gaps)
    state = (
        "complete"
        if record.complete
        else (
            f"incomplete, {missing} of {record.text_length} bytes missing"
            if missing
            else "incomplete, metadata missing"
        )
    )
    reason = f": {record.reason}" if record.reason else ""
    frames = present.frames(record.frames) + (f", {record.restored} restored" if record.restored else "")
    logger.log(
        NOTICE,
        "record %s %s from %s%s (%s, %s)",
        record.id,
        record.type,
        stored.host,
        reason,
        frames,
        "now complete" if outcome == "completed" else state,
    )
