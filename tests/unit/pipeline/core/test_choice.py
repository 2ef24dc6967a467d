# SPDX-License-Identifier: GPL-2.0-or-later
"""Comma lists of names on the command line."""

from __future__ import annotations

import pytest

from panicast_build.core.choice import alone, choose
from panicast_build.core.errors import UserError

KNOWN = {"6.1": 1, "6.12": 2, "7.3": 3}


@pytest.mark.parametrize(("names", "chosen"), [("", [1, 2, 3]), ("6.12", [2]), ("7.3, 6.1", [3, 1])])
def test_names_choose(names: str, chosen: list[int]) -> None:
    assert choose("kernel", names, KNOWN) == chosen


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(UserError, match=r"'6\.2'") as raised:
        choose("kernel", "6.1,6.2", KNOWN)
    assert raised.value.hint == "there are: 6.1, 6.12, 7.3"


def test_an_option_that_means_nothing_beside_another_is_refused() -> None:
    alone("--tree", {"--key": "", "--jobs": 0, "--debug-info": False})
    with pytest.raises(UserError, match=r"^--key and --jobs cannot be used with --tree"):
        alone("--tree", {"--key": "my.pem", "--source": "", "--jobs": 2})
