# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders of dist/ are replaced as a whole, and leave each other alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.build import dist
from panicast_build.core import paths


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (dist, paths):
        monkeypatch.setattr(module, "DIST", tmp_path / "dist")
    return tmp_path / "dist"


def fill(target: str, name: str) -> None:
    with dist.locked(target), dist.staged(target) as folder:
        (folder / name).write_text(name)
        dist.finish(folder, {})


def test_packages_and_kernel_of_a_distro_leave_each_other_alone(top: Path) -> None:
    fill("d/kernel", "linux.deb")
    assert sorted(path.name for path in (top / "d").iterdir()) == ["kernel"]
    fill("d", "one.deb")
    fill("d", "two.deb")
    fill("d/kernel", "newer.deb")
    fill("d", "three.deb")
    assert sorted(path.name for path in (top / "d").iterdir()) == [
        "SHA256SUMS",
        "kernel",
        "metadata.json",
        "three.deb",
    ]
    assert "kernel" not in (top / "d/SHA256SUMS").read_text()
    assert (top / "d/kernel/newer.deb").exists() and not (top / "d/kernel/linux.deb").exists()


def test_a_build_that_fails_leaves_what_was_there(top: Path) -> None:
    fill("d/kernel", "linux.deb")
    with pytest.raises(RuntimeError), dist.locked("d/kernel"), dist.staged("d/kernel"):
        raise RuntimeError
    assert (top / "d/kernel/linux.deb").exists()
    assert not list(top.glob(".*.part"))
