# SPDX-License-Identifier: GPL-2.0-or-later
"""Who of many guests continues from one that has booted, and who boots for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from panicast_build.crash import guest, many
from panicast_build.crash.architectures import ARCHITECTURES
from panicast_build.crash.cases import Case
from panicast_build.crash.guest import Booted, Outcome
from panicast_build.crash.kit import Kit
from panicast_build.smoke.failure import SmokeFailure

ALIKE = [Case("one"), Case("two", command="true")]
ALONE = Case("alone", cards=2)


def kit(*modules: str) -> Kit:
    orders: dict[str, list[str]] = {name: [] for name in modules}
    return Kit("6.1", Path("kit"), "6.1.0-1-amd64", orders, frozenset(), "", ARCHITECTURES["amd64"])


@contextmanager
def guests(boots: bool = True) -> Iterator[tuple[list[list[str]], dict[str, bool]]]:
    """Yields which cases each boot was for, and whether each crash continued from one."""
    booted: list[list[str]] = []
    continued: dict[str, bool] = {}

    def boot(kit: Kit, nic: str, like: list[Case]) -> Booted:
        booted.append([case.name for case in like])
        if not boots:
            raise SmokeFailure("no guest booted")
        return Booted(Path("memory"), Path("initrd"), "")

    def crash(kit: Kit, nic: str, case: Case, from_: Booted | None = None) -> Outcome:
        continued[case.name] = from_ is not None
        return Outcome([], case.name, True, 1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guest, "boot", boot)
        patch.setattr(guest, "crash", crash)
        yield booted, continued


def ended(kit: Kit) -> list[str]:
    with many.crashes(kit, "e1000", [*ALIKE, ALONE]) as outcomes:
        return [outcomes[case.name].result().console for case in (*ALIKE, ALONE)]


def test_one_boots_for_all_that_need_its_machine() -> None:
    with guests() as (booted, continued):
        assert ended(kit("qemu_fw_cfg")) == ["one", "two", "alone"]
    assert booted == [["one", "two"]]
    assert continued == {"one": True, "two": True, "alone": False}


def test_each_boots_for_itself_if_that_one_does_not() -> None:
    with guests(boots=False) as (_, continued):
        assert ended(kit("qemu_fw_cfg")) == ["one", "two", "alone"]
    assert not any(continued.values())


def test_a_kernel_that_cannot_be_told_its_case_later_boots_for_each() -> None:
    with guests() as (booted, continued):
        assert ended(kit()) == ["one", "two", "alone"]
    assert not booted and not any(continued.values())
