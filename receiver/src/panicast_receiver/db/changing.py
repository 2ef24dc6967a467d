# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes a database, wherever it is, whether its service runs or not: what people decide about groups, hosts
and maintenance windows."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ReceiverError
from . import schema
from .engine import Place
from .writing import transaction


@contextlib.contextmanager
def changing(place: Place) -> Iterator[Any]:
    """Yield what answers SQL, see Engine.db: all that it does is done, or nothing. Raises ReceiverError."""
    if not isinstance(place, Path):
        with place.changing() as db:
            yield db
        return
    path = place / schema.FILE_NAME
    if path.exists() and not os.access(path, os.W_OK):
        raise ReceiverError(f"you may not change {path}; run this as root, or use the page")
    try:
        with contextlib.closing(schema.open_writer(path)) as db, transaction(db):
            yield db
    except sqlite3.Error as error:
        raise schema.failure(error, path) from error
