# SPDX-License-Identifier: GPL-2.0-or-later
"""The store thread: it first commits what is handed over, then announces it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Callable

from ..db import damage, retention, schema
from ..db.retention import Retention
from ..db.store import Store, Stored
from ..errors import ReceiverError
from ..log import NOTICE, logger
from ..records import present
from ..records.record import LOST_MESSAGES, Record
from ..threads import name_thread
from ..wire.v1 import STATE_TYPES
from .allowances import Allowances
from .calendar import Calendar
from .handoff import Handoff

#: Records in one transaction at most: alone when little happens, together sharing an fsync under load.
BATCH = 256
#: Seconds between looks for records that need not be kept.
RETAIN_S = 600.0
#: After so many records it looks earlier.
LOOK_AFTER = 2048
#: Usual bytes of a record before it is compressed.
_USUAL_BYTES = 32768
#: Seconds between tries while the disk is full or failing, and for how long to go on once asked to stop.
RETRY_S, LAST_TRIES_S = 1.0, 5.0
#: Records that may be told now, though they had to wait, at a time; seconds between two times; and the
#: share of its time that the thread spends on that.
LET_GO, LET_GO_S, LET_GO_SHARE = 256, 0.25, 0.1


class Committer(threading.Thread):
    """Runs until the hand-off is closed and empty. Calls ``tell`` when it has stored something, and
    ``answer`` with each record that is whole now. ``failed`` tells that records could not be kept."""

    def __init__(
        self,
        handoff: Handoff,
        store: Store,
        tell: Callable[[], None] = lambda: None,
        answer: Callable[[Record], None] = lambda record: None,
    ) -> None:
        super().__init__(name="store", daemon=True)
        self.counts: Counter[str] = Counter()
        self.failed = False
        #: Why nothing can be stored now; empty when it can.
        self.trouble = ""
        self.beat_at = time.monotonic()
        self._handoff = handoff
        self._store = store
        self._tell = tell
        self._answer = answer
        self._retention = Retention()
        self._calendar: Calendar | None = None
        self._retain_at = 0.0
        self._allowances = Allowances()
        #: Of the batch that is being written, however often that is tried: to try again uses up nothing.
        self._at_once: dict[bytes, bool] = {}
        store.at_once = self._is_told_at_once
        self._let_go_at = 0.0
        #: Whether some wait for their turn.
        self._waiting = False
        self._stored = 0
        self._stopping = threading.Event()
        #: Why the file may be damaged; empty while nobody has reason to think so.
        self._suspicion = ""

    def suspect(self, why: str) -> None:
        """Note that a reader thinks the file is damaged: it is checked when nothing else is to
        do."""
        self._suspicion = why

    def retain(self, retention: Retention) -> None:
        """Apply these limits from now on; another thread may call this."""
        self._retention = retention
        self._retain_at = 0.0

    def take_sealed_alone_of(self, hosts: Sequence[str]) -> None:
        """Store nothing unsealed of these hosts from now on; another thread may call this."""
        self._store.sealed_hosts = hosts

    def stop(self) -> None:
        """Stop retrying for ever on a full disk: the service is going down."""
        self._stopping.set()

    def run(self) -> None:
        """Run the thread."""
        name_thread(self.name)
        batch: list[Record] | None = []
        try:
            while batch is not None:
                self.beat_at = time.monotonic()
                if batch:
                    for stored in self._write(batch):
                        self.counts[stored.outcome] += 1
                        if stored.outcome == "new":
                            self.counts["contested"] += stored.contested
                            self.counts["doubted"] += stored.doubted
                        _announce(stored)
                        if stored.outcome in ("new", "completed") and stored.record.complete:
                            self._answer(stored.record)
                    self._tell()
                    # A large record counts for as many as it takes the room of.
                    self._stored += sum(1 + record.text_length // _USUAL_BYTES for record in batch)
                    if self._stored >= LOOK_AFTER:
                        self._stored, self._retain_at = 0, 0.0
                else:
                    self._look_at_the_file()
                self._let_go()
                self._retain(2 if batch else 1)
                batch = self._handoff.take(BATCH, 0 if batch else LET_GO_S if self._waiting else 1.0)
        except sqlite3.Error as error:
            self.failed = True
            lost = len(batch or ()) + self._handoff.abandon()
            logger.error("%s; %d records could not be kept", schema.explain(error, self._store.path), lost)
        finally:
            self._handoff.abandon()

    def _is_told_at_once(self, record: Record) -> bool:
        if record.identity not in self._at_once:
            self._at_once[record.identity] = self._allowances.at_once(record, time.monotonic())
        return self._at_once[record.identity]

    def _beat(self) -> None:
        self.beat_at = time.monotonic()

    def _look_at_the_file(self) -> None:
        """Check whether the file exists, and whether it is intact if somebody doubts that."""
        if self._store.is_gone():
            self._begin_anew(damage.GoneError("it was moved, deleted or replaced"))
        if self._suspicion:
            error, self._suspicion = sqlite3.DatabaseError(self._suspicion), ""
            if not self._store.is_sound(self._beat):
                self._begin_anew(error)

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """Start a new file, however long that takes. Raises when patience ends."""
        complained, what = False, "databases gone" if self._store.is_gone() else "databases set aside"
        while True:
            self._beat()
            try:
                self._store.begin_anew(error)
            except (ReceiverError, OSError) as problem:
                self.trouble = str(problem)
                if not complained:
                    logger.error("%s; trying again until it works", problem)
                    complained = True
                if self._stopping.wait(RETRY_S):
                    raise error from problem
            else:
                self.trouble = ""
                self.counts[what] += 1
                return

    def _is_damage(self, error: sqlite3.Error) -> bool:
        """Tell whether the file was at fault, or is gone, and a new one has replaced it."""
        if not self._store.is_gone() and not damage.is_damage(error, self._store.path, self._beat):
            return False
        self._begin_anew(error)
        return True

    def _retain(self, most_batches: int) -> None:
        """Delete what need not be kept, a few batches at a time, also in a flood, which would fill
        the disk otherwise. Return free pages to the disk when nothing is left to delete."""
        for _ in range(most_batches):
            if time.monotonic() < self._retain_at:
                return
            try:
                # In a flood more comes than can be deleted in short steps.
                step_s = retention.STEP_S if most_batches == 1 else retention.LONG_STEP_S
                deleted = self._store.expire(self._retention, self._now_ns(), step_s=step_s)
                more = bool(deleted) or (most_batches == 1 and self._store.shrink())
            except sqlite3.DatabaseError as error:
                if not self._is_damage(error):
                    logger.warning("%s", schema.explain(error, self._store.path))
                deleted, more = 0, False
            except OSError as error:
                logger.warning("the size of %s is not known: %s", self._store.path, error)
                deleted, more = 0, False
            self.counts["deleted by retention"] += deleted
            if not more:
                self._retain_at = time.monotonic() + RETAIN_S
                self._say_undelivered()

    def _say_undelivered(self) -> None:
        """Log how many records were deleted before some sink had received them."""
        lost = self._store.undelivered - self.counts["deleted untold"]
        if lost:
            self.counts["deleted untold"] = self._store.undelivered
            logger.warning(
                "%d records were deleted before a sink had received them: it is away or slow, see "
                "`panicast-receiver sinks`; keep_mib, keep_days and records_per_host say how much is kept",
                lost,
            )

    def _let_go(self) -> None:
        """Release some records that had to wait."""
        began = time.monotonic()
        if began < self._let_go_at:
            return
        try:
            released, self._waiting = self._store.let_go(LET_GO)
        except sqlite3.DatabaseError as error:
            # Whoever writes the next record complains and waits.
            logger.debug("%s", schema.explain(error, self._store.path))
            released = 0
        if released:
            self._tell()
        now = time.monotonic()
        self._let_go_at = now + max(LET_GO_S, (now - began) / LET_GO_SHARE)

    def _now_ns(self) -> int:
        self._calendar = self._calendar or Calendar(self._store.expired_ns())
        return self._calendar.now_ns()

    def _make_room(self) -> None:
        """Delete what need not be kept, on a full disk too: then the file has room, even if the
        disk has none."""
        with contextlib.suppress(sqlite3.Error, OSError):
            deleted = self._store.make_room(self._retention, self._now_ns())
            self.counts["deleted by retention"] += deleted

    def _write(self, batch: list[Record]) -> list[Stored]:
        """Commit ``batch``, however long the disk stays full, into a new file if this one is
        damaged. Raises when patience ends."""
        complained = False
        give_up_at: float | None = None
        self._at_once.clear()
        while True:
            try:
                stored = self._store.write(batch)
                if complained:
                    logger.warning("%s can be written again", self._store.path)
                self.trouble = ""
                return stored
            except sqlite3.DatabaseError as error:
                self._beat()
                # Looked at once, for that may mean to read all of it.
                once = not complained or not isinstance(error, sqlite3.OperationalError)
                if once and self._is_damage(error):
                    continue
                if not isinstance(error, sqlite3.OperationalError):
                    raise
                self.trouble = schema.explain(error, self._store.path)
                if not complained:
                    logger.error("%s; trying again until it works", self.trouble)
                    complained = True
                self._make_room()
                self._beat()
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
        doubt = ", not sealed as its words were before: not believed" if stored.doubted else ""
        logger.info("host %s says %s%s", stored.host, record.type, doubt)
        return
    if stored.contested and outcome == "new":
        logger.warning(
            "record %s from %s claims event %s of boot %s, which another record claims too: one is forged",
            *(record.id, stored.host, record.event, record.boot_id and record.boot_id.hex()),
        )
    if stored.doubted and outcome == "new":
        logger.warning("record %s from %s is not sealed, though its host seals", record.id, stored.host)
    missing = sum(gap.length for gap in record.gaps)
    state = (
        "complete"
        if record.complete
        else (
            f"incomplete, {missing} of {record.text_length} bytes missing"
            if missing
            else "incomplete, metadata missing"
            if record.metadata is None
            else f"incomplete, {record.meta.get(LOST_MESSAGES)} messages missing"
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
