# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the records are that a test asks for: in a receiver's folder. tests/servers/test_both.py runs tests
that use these fixtures on the central store."""

import pytest


@pytest.fixture
def place(tmp_path):
    """The database that is asked and changed."""
    return tmp_path


@pytest.fixture
def passed():
    """Called when something was written to the folder ``tmp_path``."""
    return lambda: None


@pytest.fixture
def at(tmp_path):
    """The flags that name ``place`` to a command."""
    return ["--state-dir", str(tmp_path)]
