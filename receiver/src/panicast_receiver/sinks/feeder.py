# SPDX-License-Identifier: GPL-2.0-or-later
"""The thread of a sink: reads the database from the sink's cursor on, delivers, moves the cursor."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from pathlib import Path

from .. import present, schema
from ..errors import ReceiverError
from ..listener import name_thread
from ..log import logger
from ..reader import Entry, Query, Reader
from ..text import escape
from . import Sink, Told

#: Seconds between looks for new records; between tries at first, and at most.
LOOK_S, RETRY_S, LONGEST_S = 0.5, 1.0, 300.0


class Feeder(threading.Thread):
    """Runs until ``stop``. ``counts`` says what was delivered and what failed."""

    def __init__(self, sink: Sink, state_dir: Path) -> None:
        super().__init__(name=sink.name, daemon=True)
        self.counts: Counter[str] = Counter()
        self._sink = sink
        self._state_dir = state_dir
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the thread to finish; what it has not delivered it will after the next start."""
        self._stopping.set()

    def run(self) -> None:
        """The thread."""
        name_thread(self.name)
        pause = LOOK_S
        while not self._stopping.wait(pause):
            try:
                self._deliver_all()
                if self.counts["failing"]:
                    logger.warning("%s: works again", self.name)
                pause, self.counts["failing"] = LOOK_S, 0
            except (OSError, ReceiverError, sqlite3.Error) as error:
                if not self.counts["failing"]:
                    logger.warning("%s: %s; trying again until it works", self.name, error)
                self.counts["failing"] = 1
                self.counts["failed"] += 1
                pause = min(LONGEST_S, max(RETRY_S, 2 * pause))

    def _deliver_all(self) -> None:
        """Everything that lies behind the cursor; raises what went wrong."""
        reader = Reader(self._state_dir)
        database = schema.open_writer(reader.path)
        try:
            cursor = self._cursor(database, reader)
            for entry in reader.changed_since(cursor, Query()):
                if self._stopping.is_set():
                    return
                # It is looked at in a moment, and then told with what it means.
                if entry.summary["crash"] is None:
                    return
                self._sink.deliver(_told(reader, entry))
                self.counts["delivered"] += 1
                database.execute("UPDATE cursors SET changed = ? WHERE sink = ?", (entry.changed, self.name))
        finally:
            database.close()
            reader.close()

    def _cursor(self, database: sqlite3.Connection, reader: Reader) -> int:
        """Where the sink is; a new one begins with what comes from now on."""
        row = database.execute("SELECT changed FROM cursors WHERE sink = ?", (self.name,)).fetchone()
        if row is None:
            row = (reader.cursor(),)
            database.execute("INSERT INTO cursors VALUES (?, ?)", (self.name, *row))
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
    database = schema.open_writer(state_dir / schema.FILE_NAME)
    try:
        if database.execute("SELECT 1 FROM cursors WHERE sink = ?", (sink,)).fetchone() is None:
            names = ", ".join(row[0] for row in database.execute("SELECT sink FROM cursors")) or "none yet"
            raise ReceiverError(f"no sink {sink!r} was ever fed from here; there are: {names}")
        sql = "SELECT min(changed) - 1, count(*) FROM records WHERE received_ns >= ? "
        sql += "AND type NOT IN ('hello', 'bye')"
        start, count = database.execute(sql, (since_ns,)).fetchone()
        if count:
            database.execute("UPDATE cursors SET changed = min(changed, ?) WHERE sink = ?", (start, sink))
        return int(count)
    finally:
        database.close()
