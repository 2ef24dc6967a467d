# SPDX-License-Identifier: GPL-2.0-or-later
"""What cases.toml says holds together."""

from __future__ import annotations

import re

from panicast_build.core.paths import ROOT
from panicast_build.crash import cases
from panicast_receiver.meaning import understand

CASES = cases.load()


def test_every_name_is_tried() -> None:
    """A name that no record is compared with would be shown as if it were right."""
    named = [case for case in CASES.values() if case.named]
    assert len(named) > 60
    assert [case.name for case in named if case.record != "whole" or not case.says] == []


def test_a_panic_that_nothing_comes_before_has_the_name_that_its_line_gives() -> None:
    plain = [case for case in CASES.values() if case.named.startswith(("panic: ", "NMI: "))]
    assert len(plain) > 50
    called = {case.name: understand(f"Kernel panic - not syncing: {case.says}\n").title for case in plain}
    assert called == {case.name: case.named for case in plain}


def test_what_has_no_name_says_why() -> None:
    """In a comment before its table; of what leaves no whole record there is nothing to name."""
    unnamed = [case for case in CASES.values() if case.record == "whole" and case.says and not case.names]
    text = cases.TABLE.read_text()
    tables = {case.way for case in unnamed}
    assert [way for way in tables if not re.search(rf"# No name[^\[]*\n\[{way}\]", text)] == []


def test_a_crash_may_have_the_name_that_another_compiler_gives_it() -> None:
    assert cases.Case(name="x", named="a | b").names == ["a", "b"]
    assert cases.Case(name="x").names == []


def test_the_module_that_crashes_knows_each_way_that_it_is_told() -> None:
    folder = cases.TABLE.parent
    told = re.findall(r"\bpc_crash ([a-z_]+)", cases.TABLE.read_text() + (folder / "init").read_text())
    source = "".join(path.read_text() for path in (ROOT / "tests/smoke/pc_crash").glob("*.c"))
    known = re.findall(r'^\t\{ "([a-z_]+)", \.(?:alone|other) = ', source, re.MULTILINE)
    assert len(set(told)) > 15 and set(told) - set(known) == set()
