# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest reads that has booted before it has its case, and who may continue from one boot."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from panicast_build.crash import cases, guest
from panicast_build.crash.cases import Case


def test_each_case_has_room_in_a_page() -> None:
    for case in cases.load().values():
        page = guest.page(guest.case_file(case, [f"{name}.ko" for name in case.modules])).decode()
        assert len(page) == guest.CASE_BYTES and page.count(guest.WHOLE) == 2
        assert page.startswith(guest.WHOLE) and page.endswith(guest.WHOLE)
        assert shlex.quote(case.load) in page


def test_a_case_that_has_none_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes too many"):
        guest.page("x" * (guest.CASE_BYTES + 5 - 2 * len(guest.WHOLE) - 2))


@pytest.mark.parametrize(
    "differs",
    [
        {"append": "quiet"},
        {"cards": 2},
        {"cpu": "max"},
        {"devices": ("vmgenid",)},
        {"machine": "q35"},
        {"standby": "e1000"},
        {"wired": True},
    ],
    ids=lambda differs: next(iter(differs)),
)
def test_another_machine_boots_for_itself(differs: dict[str, Any]) -> None:
    case = Case("some", command="true")
    assert guest.machine_of(case) == guest.machine_of(replace(case, name="other", setup="true"))
    assert guest.machine_of(case) != guest.machine_of(replace(case, **differs))
