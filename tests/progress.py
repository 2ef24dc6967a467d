# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a long run is: a line a minute, and how long what is left took the last time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable

import pytest

EVERY_S = 60
#: pytest's cache keeps what each test took, by its id.
KEY = "panicast/seconds"


def minutes(seconds: float) -> str:
    """Return a length of time as people say it."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Progress:
    """A plugin of the process that starts the tests or, with xdist, has others run them."""

    def __init__(self, config: pytest.Config, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        # -p no:cacheprovider takes it away.
        self._cache = getattr(config, "cache", None)
        self._last: dict[str, float] = dict(self._cache.get(KEY, {})) if self._cache else {}
        self._took: dict[str, float] = {}
        self._left: set[str] = set()
        self._total = 0
        self._running: dict[str, float] = {}
        self._end = threading.Event()
        # While a test runs, what is written to the real one is the test's output.
        self._out = os.fdopen(os.dup(1), "w")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect(item.nodeid for item in session.items)

    # Only where xdist is in use.
    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._expect(ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        threading.Thread(target=self._talk, daemon=True).start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._took[report.nodeid] = self._took.get(report.nodeid, 0) + report.duration
        if report.when == "teardown":
            self._left.discard(report.nodeid)
            self._running.pop(report.nodeid, None)

    def pytest_sessionfinish(self) -> None:
        self._end.set()
        if self._cache:
            self._cache.set(KEY, self._last | self._took)

    def line(self) -> str:
        """Return where the run is: how many tests are through, what runs, how long the rest took."""
        parts = [f"{self._total - len(self._left)} of {self._total} tests"]
        now = time.monotonic()
        for nodeid, since in sorted(self._running.items(), key=lambda item: item[1])[:2]:
            parts.append(f"{nodeid.partition('[')[0]} for {minutes(now - since)}")
        known = [self._last[nodeid] for nodeid in self._left if nodeid in self._last]
        if known:
            parts.append(f"the other {len(self._left)} took {minutes(sum(known))} of work last time")
        return ", ".join(parts)

    def _expect(self, nodeids: Iterable[str]) -> None:
        # Each of xdist's processes collects all.
        if not self._total:
            self._left = set(nodeids)
            self._total = len(self._left)

    def _talk(self) -> None:
        while not self._end.wait(self._every_s):
            if self._left:
                self._out.write(f"\n[{time.strftime('%H:%M')}] {self.line()}\n")
                self._out.flush()
