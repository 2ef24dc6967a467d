# SPDX-License-Identifier: GPL-2.0-or-later
"""The thread that gives hosts their labels: at the start and at each reload, from a file or a program.

A program runs confined like the hook. While it fails, labels stay as they are.
"""

from __future__ import annotations

import math
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Callable, NamedTuple

from ..db import labels, schema
from ..db.named import NamedFile
from ..errors import ReceiverError, UsageError
from ..log import logger
from ..plainfile import open_plain
from ..records.labels import MOST_BYTES, Rule, parse
from ..sinks import confined
from ..symbols import limited
from ..text import escape
from ..threads import name_thread

#: Seconds between looks, and until a program that failed is run again.
LOOK_S, RETRY_S = 1.0, 60.0


class Source(NamedTuple):
    """Where labels are from: the rules of a file, or a program that prints such lines. Without a name
    there are none."""

    name: str = ""
    rules: Sequence[Rule] = ()
    is_program: bool = False


def source_of(name: str) -> Source:
    """Return what the setting ``labels`` names; a file is read at once. Raises UsageError."""
    path = Path(name)
    if not name or (path.is_file() and os.access(path, os.X_OK, effective_ids=True)):
        return Source(name, is_program=bool(name))
    try:
        with open_plain(path) as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"labels: cannot read {path}: {error.strerror}") from error
    return Source(name, _parsed(data, name))


def _parsed(data: bytes, name: str) -> list[Rule]:
    if len(data) > MOST_BYTES:
        raise UsageError(f"labels: {name}: more than {MOST_BYTES >> 20} MiB")
    try:
        return parse(data.decode(), f"labels: {name}")
    except UnicodeDecodeError as error:
        raise UsageError(f"labels: {name}: it is not UTF-8: {error}") from error


class Labeller(threading.Thread):
    """Runs until ``stop``. ``usable`` tells whether the database may be opened."""

    def __init__(self, path: Path, usable: Callable[[], bool] = lambda: True) -> None:
        super().__init__(name="labels", daemon=True)
        self._path = path
        self._usable = usable
        self._given: tuple[Source, Sequence[Path]] = (Source(), ())
        self._asked, self._stopping = threading.Event(), threading.Event()
        self._complaint = ""

    def follow(self, source: Source, hidden: Sequence[Path]) -> None:
        """Give hosts the labels of this source from now on. A program must not read what is hidden: files
        and folders."""
        self._given = source, hidden
        self._asked.set()

    def stop(self) -> None:
        """Stop after what is being done."""
        self._stopping.set()

    def run(self) -> None:
        """Run the thread."""
        name_thread(self.name)
        named, due = NamedFile(self._path), math.inf
        while not self._stopping.is_set():
            # A new database knows no labels yet.
            if self._asked.wait(LOOK_S) or named.changed():
                self._asked.clear()
                due = 0.0
            if time.monotonic() < due or not self._usable():
                self._stopping.wait(LOOK_S)
                continue
            named = NamedFile(self._path)
            due = math.inf if self._work() else time.monotonic() + RETRY_S

    def _work(self) -> bool:
        """Give hosts their labels; tell whether that worked."""
        source, hidden = self._given
        try:
            rules = _told(source.name, hidden) if source.is_program else source.rules
            with closing(schema.open_writer(self._path)) as db:
                if labels.put(db, rules):
                    logger.info("labels: %d rules from %s", len(rules), source.name or "no file")
        except (ReceiverError, sqlite3.Error, OSError) as error:
            if str(error) != self._complaint:
                logger.error("labels stay as they are: %s", escape(str(error)))
            self._complaint = str(error)
            return False
        self._complaint = ""
        return True


def _told(program: str, hidden: Sequence[Path]) -> list[Rule]:
    argv = [sys.executable, "-I", "-S", confined.__file__, program, *map(str, hidden)]
    return _parsed(limited.run(argv, name=program, most=MOST_BYTES), program)
