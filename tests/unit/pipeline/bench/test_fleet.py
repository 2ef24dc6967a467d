# SPDX-License-Identifier: GPL-2.0-or-later
"""How large the databases of a benchmark are, as somebody asks for it; and what its page shows of that."""

from __future__ import annotations

import pytest

from panicast_build.bench import fleet, store
from panicast_build.core.errors import UserError


def test_sizes_are_numbers_and_come_in_their_order() -> None:
    assert fleet.sizes("") == []
    assert fleet.sizes("100000, 10000,10000") == [10_000, 100_000]


@pytest.mark.parametrize("wrong", ["many", "10,000", "-5", "99999999", "1e6"])
def test_a_size_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(UserError, match=r"--sizes: '.*' is not a number of records; .*e\.g\."):
        fleet.sizes(wrong)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0.65812, "0.658"), (7.724, "7.72"), (999.4, "999"), (999.9, "1,000"), (1590, "1,590")],
)
def test_no_page_shows_powers_of_ten(number: float, shown: str) -> None:
    assert store.figure(number) == shown
