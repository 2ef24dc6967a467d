# SPDX-License-Identifier: GPL-2.0-or-later
"""The thread that finds file and line of crashes, after their meaning: nothing waits for it."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Callable

from ..db import places, schema
from ..db.named import NamedFile
from ..db.writing import transaction
from ..errors import ReceiverError
from ..log import logger
from ..settings import Settings
from ..settings.symbols import parse_symbols
from ..symbols import files, limited, lines
from ..text import escape
from ..threads import name_thread

#: Seconds between looks, and after a failure; records that are looked at again at the start.
LOOK_S, PAUSE_S, EARLIER = 1.0, 30.0, 1000
_INSTALL = (
    "install elfutils, and for servers the package with debuginfod-find: debuginfod (Debian, Ubuntu) or "
    "elfutils-debuginfod-client"
)


class Locator(threading.Thread):
    """Runs until ``stop``. ``usable`` tells whether the database may be opened."""

    def __init__(self, path: Path, symbols: files.Symbols, usable: Callable[[], bool] = lambda: True) -> None:
        super().__init__(name="symbols", daemon=True)
        self._path = path
        self._symbols = symbols
        self._usable = usable
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Stop after what is being looked for."""
        self._stopping.set()

    def run(self) -> None:
        """Run the thread."""
        name_thread(self.name)
        while not self._stopping.wait(LOOK_S):
            if not self._usable():
                continue
            try:
                named = NamedFile(self._path)
                with closing(schema.open_writer(self._path, lasting=False)) as db:
                    _begin(db)
                    self._work(db, named)
            # Whatever a file or the disk may be: it must not end the thread.
            except Exception as error:
                logger.debug("symbols: %s: %s", type(error).__name__, error)
                self._stopping.wait(PAUSE_S)

    def _work(self, db: sqlite3.Connection, named: NamedFile) -> None:
        """Look for what is wanted, until the database is replaced."""
        while not self._stopping.is_set() and not named.changed():
            wanted = places.wanted(db)
            if wanted is None:
                self._stopping.wait(LOOK_S)
                continue
            found = locate(self._symbols, wanted.kernel, wanted.codes)
            with transaction(db):
                places.keep(db, wanted.kernel, found.items())
            more = True
            while more and not self._stopping.is_set():
                with transaction(db):
                    more = places.prune(db)


def _begin(db: sqlite3.Connection) -> None:
    """Look again for what was not found before, and for what was forgotten of the newest crashes."""
    found = db.execute(
        "SELECT kernel, crash FROM records WHERE crash IS NOT NULL AND type IN ('panic', 'oops') "
        "ORDER BY number DESC LIMIT ?",
        (EARLIER,),
    ).fetchall()
    with transaction(db):
        places.look_again(db)
        for kernel, crash in found:
            places.want(db, kernel or "", json.loads(crash).get("code", ()))


def locate(symbols: files.Symbols, kernel: str, codes: Sequence[str]) -> Mapping[str, Sequence[lines.Line]]:
    """Return the lines of places in a kernel's code: none where nobody knows."""
    found: dict[str, Sequence[lines.Line]] = {code: () for code in codes}
    by_file: dict[tuple[str, str], list[tuple[str, lines.Code]]] = {}
    for code in codes:
        if parsed := lines.parse(code):
            by_file.setdefault((parsed.module, parsed.build_id), []).append((code, parsed))
    for (module, build_id), some in by_file.items():
        try:
            path = files.find(symbols, kernel, module, build_id)
            told = lines.look_up(path, [parsed for _, parsed in some]) if path else [()] * len(some)
        except (ReceiverError, OSError) as error:
            logger.info("%s", escape(f"no lines of {module} in {kernel}: {error}"))
            continue
        found.update(zip((code for code, _ in some), told))
    return found


def symbols_of(settings: Settings, state_dir: Path) -> files.Symbols | None:
    """Return where the settings say that debug information is; None if nowhere, or if elfutils are
    missing."""
    folders, servers = parse_symbols(settings.symbols)
    if not (folders or servers) or limited.missing(servers=False):
        return None
    return files.Symbols(folders, servers, state_dir / "debuginfo")


def warnings(settings: Settings) -> list[tuple[str, str]]:
    """Return what keeps the setting ``symbols`` from having an effect, and what to do about it."""
    folders, servers = parse_symbols(settings.symbols)
    if not (folders or servers):
        return []
    found = [
        (f"symbols: {name} is missing, so traces have no file and line", _INSTALL)
        for name in limited.missing(bool(servers))
    ]
    return found + [
        (f"symbols: {folder} is not a folder that can be read", "make it, or correct `symbols`")
        for folder in folders
        if not os.access(folder, os.R_OK | os.X_OK) or not folder.is_dir()
    ]
