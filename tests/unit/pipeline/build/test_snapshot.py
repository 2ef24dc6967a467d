# SPDX-License-Identifier: GPL-2.0-or-later
"""A snapshot's version lies between those of the releases, as dpkg sorts them."""

from __future__ import annotations

from pathlib import Path

import pytest
from debian.debian_support import Version

from panicast_build.build import source
from panicast_build.core.errors import UserError
from panicast_build.targets import changelog

COMMITS = ("c0ffee1", "0decaf1"), (1_800_000_000, 1_800_000_001)


@pytest.fixture
def snapshot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """snapshot(number of a commit, whether 0.1.0 is out, whether the tree is another)."""
    monkeypatch.setattr(changelog, "PATH", tmp_path / "CHANGELOG.md")

    def snapshot(number: int, out: bool = False, dirty: bool = False) -> str:
        hashes, times = COMMITS
        monkeypatch.setattr(source, "commit", lambda: {"commit": f"{hashes[number]}beef", "dirty": dirty})
        monkeypatch.setattr(source, "epoch", lambda: times[number])
        date = "2027-01-15" if out else "unreleased"
        changelog.PATH.write_text(f"# Changelog\n\n## 0.1.0 ({date})\n\n- It.\n")
        return source.snapshot("0.1.0")

    return snapshot


def test_it_names_its_commit(snapshot) -> None:
    assert snapshot(0) == "0.1.0~git20270115080000.c0ffee1"
    with pytest.raises(UserError, match="named after its commit"):
        snapshot(0, dirty=True)


def test_each_is_newer_than_what_was_before_it(snapshot) -> None:
    early = [snapshot(0), snapshot(1)]
    late = [snapshot(0, out=True), snapshot(1, out=True)]
    versions = ["0.0.9", *early, "0.1.0", *late, "0.1.1~git20280101000000.c0ffee1", "0.1.1"]
    assert sorted(reversed(versions), key=Version) == versions
