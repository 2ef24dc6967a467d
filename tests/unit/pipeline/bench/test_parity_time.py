# SPDX-License-Identifier: GPL-2.0-or-later
"""The parity of a record is made in a time that a dying machine has."""

from __future__ import annotations

from panicast_build.bench import parity


def test_48_parity_frames_of_48_take_milliseconds() -> None:
    """Less than one where nothing else runs; here a slow machine may be busy."""
    assert 0 < parity.milliseconds() <= 5
