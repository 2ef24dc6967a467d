# SPDX-License-Identifier: GPL-2.0-or-later
"""Transactions that write, and whose turn it is, among the threads of a process.

SQLite itself lets a writer that waits look again now and then, less and less often. Who writes
without a pause, as the store does in a flood, is always first then, and the others wait for
seconds. Here, who waits is next.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator

#: Held while somebody writes; and by who waits for that, so that nobody overtakes him.
_WRITING, _NEXT = threading.Lock(), threading.Lock()


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do everything within it, or nothing. Raises sqlite3.Error."""
    with _NEXT:
        _WRITING.acquire()
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
    finally:
        _WRITING.release()
