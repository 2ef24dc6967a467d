# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of crashes that were delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.core import document
from panicast_build.crash import cases
from panicast_build.crash.kit import NICS
from panicast_build.targets import kernels


def crash(**fields: object) -> dict[str, object]:
    plain = {"kernel": "6.1", "release": "6.1.0-1-amd64", "nic": "e1000", "case": "sysrq", "fault": ""}
    return {**plain, "frames": 42, "seconds": 8.0, "date": "2026-11-24", **fields}


def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *crashes: dict[str, object]) -> str:
    monkeypatch.setattr(document, "DOCS", tmp_path)
    document.write("crashes.md", crashes=list(crashes), qemu="QEMU")
    return (tmp_path / "crashes.md").read_text()


def test_the_page_counts_by_kernel_card_and_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page(tmp_path, monkeypatch, crash(), crash(case="nmi"), crash(nic="virtio-net-pci"))
    assert "| 6.1 (6.1.0-1-amd64) | 2 of 2 | 1 of 1 |" in shown
    assert "| sysrq | 2 of 2 |" in shown and "| nmi | 1 of 1 |" in shown
    assert "## Not delivered" not in shown


def test_what_was_not_delivered_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = page(tmp_path, monkeypatch, crash(), crash(case="nmi", fault="the machine did not reboot"))
    assert "| 6.1 (6.1.0-1-amd64) | 1 of 2 |" in shown
    assert "| nmi | 6.1.0-1-amd64 | e1000 | the machine did not reboot |" in shown


def test_no_two_tables_share_a_name() -> None:
    # Results are kept and sorted by these names.
    names = [*kernels.load(), *NICS, *cases.load()]
    assert len(names) == len(set(names))
