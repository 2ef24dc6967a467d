# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of crashes that were delivered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from panicast_build.core import document
from panicast_build.core.errors import UserError
from panicast_build.crash import cases, matrix, tree
from panicast_build.crash.kit import NICS
from panicast_build.kernel import folder
from panicast_build.smoke import vm
from panicast_build.targets import kernels


def crash(**fields: object) -> dict[str, object]:
    plain = {"kernel": "6.1", "release": "6.1.0-1-amd64", "nic": "e1000", "case": "sysrq", "fault": ""}
    more = {"way": fields.get("case", "sysrq"), "alone": False, "built": ""}
    return {**plain, **more, "frames": 42, "seconds": 8.0, "date": "2026-11-24", **fields}


def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *crashes: dict[str, object]) -> str:
    monkeypatch.setattr(document, "DOCS", tmp_path)
    document.write("crashes.md", crashes=list(crashes), named={"sysrq": "panic: crash"}, qemu="QEMU")
    return (tmp_path / "crashes.md").read_text()


def test_the_page_counts_by_kernel_card_and_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page(tmp_path, monkeypatch, crash(), crash(case="nmi"), crash(nic="virtio-net-pci"))
    assert "| 6.1 (6.1.0-1-amd64) | 2 of 2 | 1 of 1 |" in shown
    assert "| sysrq | panic: crash | 2 of 2 |" in shown and "| nmi |  | 1 of 1 |" in shown
    assert "## Not delivered" not in shown


def test_what_was_not_delivered_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = page(tmp_path, monkeypatch, crash(), crash(case="nmi", fault="the machine did not reboot"))
    assert "| 6.1 (6.1.0-1-amd64) | 1 of 2 |" in shown
    assert "| nmi | 6.1.0-1-amd64 | e1000 | the machine did not reboot |" in shown


def test_a_kernel_that_was_built_from_a_tree_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = crash(kernel="EL 9.6", release="5.14.0-570.el9_6", built=tree.BUILT)
    shown = page(tmp_path, monkeypatch, crash(), built)
    assert "| EL 9.6 (5.14.0-570.el9_6), built from its source by Debian's compiler | 1 of 1 |" in shown
    assert "| 6.1 (6.1.0-1-amd64) | 1 of 1 |" in shown
    assert "crash/tree.config`" in shown
    assert "tree.config" not in page(tmp_path, monkeypatch, crash())


def test_one_thing_is_crashed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--kernel cannot be used with --tree"):
        matrix.subjects("6.1", str(tmp_path), "")
    with pytest.raises(UserError, match="needs a kernel") as said:
        matrix.subjects("", "", "some.config")
    assert "--tree" in said.value.hint


def test_a_tree_is_crashed_by_its_own_name(tmp_path: Path) -> None:
    for sign in folder.SIGNS:
        (tmp_path / sign).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / sign).touch()
    (tmp_path / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 9\nSUBLEVEL = 2\nEXTRAVERSION = -x\n")
    (tmp_path / ".config").write_text("CONFIG_X86_64=y\n")
    (subject,) = matrix.subjects("", str(tmp_path), "")
    assert (subject.name, subject.built) == ("Linux 6.9", tree.BUILT)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the rows are that a run renews; the page is beside them."""
    monkeypatch.setattr(document, "DOCS", tmp_path)
    monkeypatch.setattr(matrix, "ROWS", tmp_path / "crashes.json")
    monkeypatch.setattr(vm, "version", lambda: "QEMU")
    return matrix.ROWS


def remember(*crashes: dict[str, object]) -> None:
    matrix._remember([matrix.Crash(**one) for one in crashes])  # type: ignore[arg-type]


def test_a_run_of_a_part_renews_only_its_rows(rows: Path) -> None:
    remember(crash(), crash(case="nmi", fault="no record"), crash(kernel="EL 9.6", built=tree.BUILT))
    remember(crash(case="nmi"))
    found = json.loads(rows.read_text())
    assert [(one["kernel"], one["case"], one["fault"]) for one in found] == [
        ("6.1", "sysrq", ""),
        ("6.1", "nmi", ""),
        ("EL 9.6", "sysrq", ""),
    ]
    shown = rows.with_name("crashes.md").read_text()
    assert "| 6.1 (6.1.0-1-amd64) | 2 of 2 |" in shown and "| EL 9.6 (6.1.0-1-amd64)" in shown


def test_each_crash_is_a_line_that_a_diff_shows(rows: Path) -> None:
    remember(crash(), crash(case="nmi"))
    before = rows.read_text().splitlines()
    remember(crash(case="nmi", seconds=9.0))
    after = rows.read_text().splitlines()
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True]


def test_the_page_is_made_of_the_rows_beside_it() -> None:
    found = json.loads(matrix.ROWS.read_text())
    # Behind them are older counts, of the same ways.
    shown = matrix.ROWS.with_name("crashes.md").read_text().partition("\n## Before rows were kept\n")[0]
    for kernel in {one["kernel"] for one in found}:
        of_kernel = [one for one in found if one["kernel"] == kernel]
        assert f"| {kernel} ({', '.join(dict.fromkeys(one['release'] for one in of_kernel))})" in shown
    ways = {one["way"] for one in found}
    assert {way: len(re.findall(rf"\n\| {way} \|.* of \d+ \|", shown)) for way in ways} == dict.fromkeys(
        ways, 1
    )


def test_quick_ways_are_those_of_every_test_run() -> None:
    chosen = cases.select("quick")
    assert chosen and all(case.quick for case in chosen)
    assert len(chosen) < len(cases.select(""))
    assert [case.name for case in cases.select("sysrq,nmi")] == ["sysrq", "nmi"]


def test_where_a_card_was_left_alone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashes = [crash(case=f"at-{name}", way="at", alone=name != "up") for name in ("lock", "up", "unlock")]
    shown = page(tmp_path, monkeypatch, *crashes)
    assert "| e1000 | at-lock, at-unlock |" in shown and "| at |  | 3 of 3 |" in shown
    assert "## Where a card was left alone" not in page(tmp_path, monkeypatch, crash())


def test_no_two_tables_share_a_name() -> None:
    # Results are kept and sorted by these names.
    names = [*kernels.load(), *NICS, *cases.load()]
    assert len(names) == len(set(names))
