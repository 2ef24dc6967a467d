# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the endurance test goes on: pytest tests/endurance --days 30."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """A simulated day takes about a minute."""
    parser.addoption("--days", type=int, default=1, help="simulated days that the receiver has to endure")
    parser.addoption("--seed", type=int, default=None, help="what made an earlier run do what it did")
