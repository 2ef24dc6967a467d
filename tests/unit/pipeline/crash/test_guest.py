# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest reads that has booted before it has its case, and who may continue from one boot."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any, cast

import pytest

from panicast_build.crash import cases, guest
from panicast_build.crash.cases import Case
from panicast_build.crash.kit import Kit


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


READY = f"{guest.READY}\n"
DIED = "BUG: kernel NULL pointer dereference, address: 0000000000000000\n"


@pytest.mark.parametrize(
    ("place", "consoles", "lives"),
    [
        ("", [DIED, READY + DIED], 2),
        ("", [READY + DIED], 1),
        ("here", [READY + DIED, READY + "panics at here\n"], 2),
        ("here", [READY + DIED] * guest.LIVES, guest.LIVES),
    ],
    ids=["while it boots", "after that", "while the place is probed", "again and again"],
)
def test_a_guest_that_dies_before_its_crash_gets_another_life(
    place: str, consoles: list[str], lives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(consoles)

    def live(*arguments: object) -> guest.Outcome:
        return guest.Outcome(frames=[], console=next(left), rebooted=True, seconds=1.0)

    monkeypatch.setattr(guest, "_live", live)
    asked = Case("some", says=f"panics at {place}", place=place)
    outcome = guest.crash(cast(Kit, None), "e1000", asked)
    assert outcome.console == consoles[lives - 1] and len(list(left)) == len(consoles) - lives
