# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv package as a user meets it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build.build import verified
from panicast_build.core.paths import ROOT
from panicast_build.core.run import Result
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro


def test_wrong_names_list_the_right_ones(inv: Callable[..., Result]) -> None:
    wrong = inv(ROOT, "package", "--distro", "debian-21")
    assert wrong.code == 2
    assert "did you mean" in wrong.output and ", ".join(distros.load()) in wrong.output
    wrong = inv(ROOT, "package", "--distro", "debian-12", "--component", "kernel")
    assert wrong.code == 2
    assert "kmod, receiver" in wrong.output
    wrong = inv(ROOT, "package", "--distro", "debian-12", "--component", "selinux")
    assert wrong.code == 2
    assert "debian-12 has no packages of selinux" in wrong.output and "kmod, receiver" in wrong.output
    wrong = inv(ROOT, "package", "--distro", "el9", "--rpm-host", "arch")
    assert wrong.code == 2
    assert "real, debian, auto" in wrong.output


def test_second_run_has_nothing_to_do(inv: Callable[..., Result], packaged: Callable[[Distro], Path]) -> None:
    folder = packaged(distros.load()["debian-12"])

    def files() -> dict[str, os.stat_result]:
        return {path.name: path.stat() for path in folder.iterdir() if path.name not in verified.LATER}

    before = files()
    again = inv(ROOT, "package", "--distro", "debian-12")
    assert again.code == 0, again.output
    assert "nothing has changed" in again.output
    assert files() == before


@pytest.fixture
def copy(tmp_path: Path, copy_tree: Callable[..., None]) -> Path:
    """A copy of the tree at a path with a space in it."""
    root = tmp_path / "a copy"
    copy_tree(root)
    return root


def test_failed_build_leaves_what_was_there(inv: Callable[..., Result], copy: Path) -> None:
    rules = copy / "packaging/templates/deb/panicast-receiver/rules"
    good = rules.read_text()
    rules.write_text(good + "\nexecute_after_dh_auto_build:\n\tfalse\n")
    failed = inv(copy, "package", "--distro", "debian-12")
    assert failed.code == 1
    assert "whole log: " in failed.output and "execute_after_dh_auto_build" in failed.output
    assert Path(failed.output.split("whole log: ")[1].strip()).is_file()
    assert [path.name for path in (copy / "dist").iterdir()] == [".debian-12.lock"]

    made = inv(copy, "package", "--distro", "debian-12", "--component", "kmod")
    assert made.code == 0, made.output
    before = sorted(path.name for path in (copy / "dist/debian-12").iterdir())
    assert "panicast-receiver" not in " ".join(before)
    failed = inv(copy, "package", "--distro", "debian-12")
    assert failed.code == 1
    assert sorted(path.name for path in (copy / "dist/debian-12").iterdir()) == before

    rules.write_text(good)
    made = inv(copy, "package", "--distro", "debian-12", "--component", "receiver")
    assert made.code == 0, made.output
    after = {path.name for path in (copy / "dist/debian-12").iterdir()}
    assert set(before) < after and [name for name in after if name.startswith("panicast-receiver_")]
