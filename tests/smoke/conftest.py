# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke test is the longest, and the one whose failure the others explain: it comes last."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: HERE in item.path.parents)
