# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests that a run leaves out for the night: --nightly runs them, too."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import pytest
from xdist.workermanage import WorkerController

# How to get them, at the end of each run without them.
HOW = "./inv test --nightly runs them, too"


def rows(table: Mapping[str, Sequence[object]], usual: Container[str]) -> list[object]:
    """Return a table's rows as parameters, each with its name; all but the usual ones are nightly."""
    return [
        pytest.param(*row, id=name, marks=() if name in usual else pytest.mark.nightly)
        for name, row in table.items()
    ]


class Nightly:
    """A plugin of each process of a run. What a user names itself, FILE::TEST, runs in any case."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._all = config.getoption("nightly") or any("::" in argument for argument in config.args)
        self._left_out = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        left_out = [item for item in items if item.get_closest_marker("nightly") and not self._all]
        if left_out:
            gone = set(left_out)
            items[:] = [item for item in items if item not in gone]
            self._config.hook.pytest_deselected(items=left_out)
        self._left_out = len(left_out)

    # One of xdist's processes; each has collected all.
    def pytest_sessionfinish(self) -> None:
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["left_out"] = self._left_out

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        self._left_out = getattr(node, "workeroutput", {}).get("left_out", self._left_out)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._left_out:
            terminalreporter.write_line(f"{self._left_out} tests are left to the night: {HOW}")
