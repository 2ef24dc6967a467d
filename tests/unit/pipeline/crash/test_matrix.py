# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of crashes that were delivered."""

from __future__ import annotations

import json
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


def test_results_of_before_are_kept_beside_those_of_a_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "DOCS", tmp_path)
    monkeypatch.setattr(matrix, "REPORT", tmp_path / "crashes.json")
    monkeypatch.setattr(vm, "version", lambda: "QEMU")
    old = crash(kernel="7.3")
    del old["built"]
    matrix.REPORT.write_text(json.dumps([old]))
    found = crash(kernel="EL 9.6", built=tree.BUILT)
    matrix._remember([matrix.Crash(**found)])  # type: ignore[arg-type]
    assert [(one["kernel"], one["built"]) for one in json.loads(matrix.REPORT.read_text())] == [
        ("7.3", ""),
        ("EL 9.6", tree.BUILT),
    ]


def test_a_page_without_earlier_results_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(document, "DOCS", tmp_path)
    monkeypatch.setattr(matrix, "REPORT", tmp_path / "crashes.json")
    monkeypatch.setattr(vm, "version", lambda: "QEMU")
    found = matrix.Crash(**crash())  # type: ignore[arg-type]
    matrix._remember([found])
    assert "dist/crashes.json has no earlier crashes" in capsys.readouterr().err
    matrix._remember([found])
    assert "no earlier crashes" not in capsys.readouterr().err


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
