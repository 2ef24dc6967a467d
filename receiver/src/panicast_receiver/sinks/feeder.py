# SPDX-License-Identifier: GPL-2.0-or-later
"""The thread of a sink: reads the database from the sink's cursor on, delivers, moves the cursor."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Callable

from ..db import schema
from ..db.reader import Entry, Query, Reader
from ..errors import ReceiverError
from ..log import logger
from ..records import present
from ..text import escape
from ..threads import name_thread
from . import Sink, Told, hand_over

#: Seconds between looks for new records; between tries at first, and at most.
LOOK_S, RETRY_S, LONGEST_S = 0.5, 1.0, 300.0
#: Text in one batch at most, as it is unpacked: of this there are several copies.
BATCH_BYTES = 4 << 20
#: Between batches in a burst: it takes Python's lock from the capturing thread.
BURST_S = 1.0


class Feeder(threading.Thread):
    """Runs until ``stop``. ``counts`` says what was delivered and what failed; ``busy`` tells of bursts.

    What is stored from its making on is told. Raises ReceiverError."""

    def __init__(self, sink: Sink, state_dir: Path, busy: Callable[[], bool] = lambda: False) -> None:
        super().__init__(name=sink.name, daemon=True)
        self.counts: Counter[str] = Counter()
        self._sink = sink
        self._state_dir = state_dir
        self._busy = busy
        self._stopping = threading.Event()
        with closing(Reader(state_dir)) as reader, closing(schema.open_writer(reader.path)) as database:
            _cursor(database, reader, self.name)

    def stop(self) -> None:
        """Ask the thread to finish; what it has not delivered it will after the next start."""
        self._stopping.set()

    def run(self) -> None:
        """The thread."""
        name_thread(self.name)
        pause = LOOK_S
        complaint: str | None = None
        while not self._stopping.wait(pause):
            try:
                self._deliver_all()
                if complaint is not None:
                    logger.warning("%s: works again", self.name)
                pause, complaint, self.counts["failing"] = LOOK_S, None, 0
            # Whatever a library may raise: a thread that ended by itself would never tell again.
            except Exception as error:
                if str(error) != complaint:
                    logger.warning("%s: %s; trying again until it works", self.name, error)
                complaint = str(error)
                self.counts["failing"] = 1
                self.counts["failed"] += 1
                pause = min(LONGEST_S, max(RETRY_S, 2 * pause))

    def _deliver_all(self) -> None:
        """Everything that lies behind the cursor; raises what went wrong."""
        with closing(Reader(self._state_dir)) as reader, closing(schema.open_writer(reader.path)) as database:
            cursor = _cursor(database, reader, self.name)
            while entries := self._next(reader, cursor):
                hand_over(self._sink, [_told(reader, entry) for entry in entries], self.counts)
                # Unless it was moved meanwhile, by `resend`.
                values = (entries[-1].changed, self.name, cursor)
                moved = database.execute(
                    "UPDATE cursors SET changed = ? WHERE sink = ? AND changed = ?", values
                )
                cursor = entries[-1].changed
                if not moved.rowcount or self._stopping.wait(BURST_S if self._busy() else 0):
                    return

    def _next(self, reader: Reader, cursor: int) -> list[Entry]:
        """What comes after the cursor, at most a batch, up to a record of which nobody has looked what it
        means: that is done in a moment, and then it is told with its meaning."""
        found: list[Entry] = []
        size = 0
        for entry in reader.changed_since(cursor, Query(limit=self._sink.most)):
            size += entry.summary["bytes"]
            if entry.summary["crash"] is None or (found and size > BATCH_BYTES):
                break
            found.append(entry)
        return found


def _cursor(database: sqlite3.Connection, reader: Reader, sink: str) -> int:
    """Where a sink is; a new one begins with what comes from now on."""
    row = database.execute("SELECT changed FROM cursors WHERE sink = ?", (sink,)).fetchone()
    if row is None:
        row = (reader.cursor(),)
        database.execute("INSERT INTO cursors (sink, changed) VALUES (?, ?)", (sink, *row))
    return int(row[0])


def _told(reader: Reader, entry: Entry) -> Told:
    summary = entry.summary
    what = summary["title"] or summary["reason"] or "no reason given"
    line = f"{summary['type']} of {summary['host']}: {what}"
    if not summary["complete"]:
        line += f" ({present.state(summary)})"
    return Told(present.as_json(summary, reader.load(entry)), escape(line))


def rewind(state_dir: Path, sink: str, since_ns: int) -> int:
    """Let a sink begin again with the records received since then; how many that are."""
    with closing(schema.open_writer(state_dir / schema.FILE_NAME)) as database:
        if database.execute("SELECT 1 FROM cursors WHERE sink = ?", (sink,)).fetchone() is None:
            names = ", ".join(row[0] for row in database.execute("SELECT sink FROM cursors")) or "none yet"
            raise ReceiverError(f"no sink {sink!r} was ever fed from here; there are: {names}")
        sql = "SELECT min(changed) - 1, count(*) FROM records WHERE received_ns >= ? "
        sql += "AND type NOT IN ('hello', 'bye')"
        start, count = database.execute(sql, (since_ns,)).fetchone()
        if count:
            database.execute("UPDATE cursors SET changed = min(changed, ?) WHERE sink = ?", (start, sink))
        return int(count)
