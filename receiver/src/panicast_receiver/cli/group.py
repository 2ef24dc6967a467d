# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``group``: shows what was decided about a group of crashes, and changes it."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Callable, TypeVar

from ..db import groups, schema
from ..db.reader import Reader
from ..db.writing import transaction
from ..errors import ReceiverError
from ..records import present
from .commands import say

T = TypeVar("T")


def show(state_dir: Path, prefix: str, as_json: bool) -> int:
    """Print a group with all that was decided about it."""
    with closing(Reader(state_dir)) as reader:
        group = reader.group(prefix)
    say(json.dumps(group, indent=2) + "\n" if as_json else present.group_page(group))
    return 0


def change(state_dir: Path, prefix: str, action: str, detail: str, note: str, by: str) -> int:
    """Do something to a group, whether the service runs or not; print its state."""
    path = state_dir / schema.FILE_NAME
    with closing(Reader(state_dir)) as reader:
        signature = reader.group(prefix)["signature"]
    order = groups.checked(groups.Order(signature, action, detail, note, by or whoever(), "command"))
    carry_out(path, lambda db: groups.change(db, order))
    with closing(Reader(state_dir)) as reader:
        say(f"{signature} {present.status(reader.group(signature)['status'])}\n")
    return 0


def carry_out(path: Path, change: Callable[[sqlite3.Connection], T]) -> T:
    """Change the database, whether the service runs or not, and return what ``change`` does. Raises
    ReceiverError."""
    if not os.access(path, os.W_OK):
        raise ReceiverError(f"you may not change {path}; run this as root, or use the page")
    try:
        with closing(schema.open_writer(path)) as db, transaction(db):
            return change(db)
    except sqlite3.Error as error:
        raise schema.failure(error, path) from error


def whoever() -> str:
    """Return the name of the user who runs this, also through sudo."""
    if not os.geteuid() and (name := os.environ.get("SUDO_USER")):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
