# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch serves which kernel."""

from __future__ import annotations

import re

import pytest

from panicast_build.core.errors import UserError
from panicast_build.kernel import series
from panicast_build.kernel.series import Era
from panicast_build.targets import kernels

# DEP-3, Debian's guidelines for the headers of patches
FIELDS = {"Description", "Author", "Forwarded", "Last-Update"}


@pytest.fixture(params=series.load(), ids=lambda era: era.name)
def era(request: pytest.FixtureRequest) -> Era:
    return request.param


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("5.10.262", "5.10"),
        ("5.15", "5.15"),
        ("5.15.0-160.170", "5.15"),
        ("6.1.192", "6.1"),
        ("6.1.192-2", "6.1"),
        ("6.8.0-31-generic", "6.8"),
        ("6.12.118", "6.12"),
        ("7.0", "7.x"),
        ("7.3.4-1~bpo13+1", "7.x"),
    ],
)
def test_a_version_has_its_era(version: str, name: str) -> None:
    assert series.for_version(version).name == name


# 6.10 and 6.11 begin like 6.1, 70.1 like 7.
@pytest.mark.parametrize("version", ["4.19.1", "5.1.5", "6.10.3", "6.11", "70.1", "6", "", "x"])
def test_a_version_without_a_patch_is_refused_in_words(version: str) -> None:
    with pytest.raises(UserError) as refused:
        series.for_version(version)
    assert version in str(refused.value)
    assert "5.10, 5.15, 6.1, 6.8, 6.12, 7.x" in refused.value.hint


def test_every_kernel_that_is_crashed_has_a_patch() -> None:
    for kernel in kernels.load().values():
        series.for_version(kernel.series)


def test_no_patch_lies_beside_the_series() -> None:
    assert {era.patch for era in series.load()} == set(series.FOLDER.glob("*.patch"))


def test_no_kernel_has_two_eras(era: Era) -> None:
    for kernel in era.kernels:
        assert [other.name for other in series.load() if other.serves(kernel)] == [era.name]


def test_the_patch_says_what_it_is(era: Era) -> None:
    header, _, diff = era.patch.read_text().partition("\n---\n")
    assert set(re.findall(r"^([A-Z][A-Za-z-]+):", header, re.MULTILINE)) == FIELDS
    assert "+EXPORT_SYMBOL_GPL(kernel_log_buffer);" in diff.splitlines()


def test_the_patches_add_the_same_tests(era: Era) -> None:
    # Nothing but the way in which the mark of "dmesg -c" is moved may differ.
    def cases(patch: str) -> list[str]:
        return re.findall(r"^\+\tKUNIT_CASE\((\w+)\),$", patch, re.MULTILINE)

    newest = cases(series.load()[-1].patch.read_text())
    assert "log_test_cleared" in newest
    assert cases(era.patch.read_text()) == newest
