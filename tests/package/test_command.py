# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv package as a user meets it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build import distros, source
from panicast_build.distros import Distro
from panicast_build.paths import ROOT
from panicast_build.run import Result, run


def inv(root: Path, *arguments: str) -> Result:
    """invoke in a copy of the tree, with that copy's pipeline."""
    env = {"PYTHONPATH": str(root / "packaging")}
    argv = [sys.executable, "-m", "invoke", "--search-root", root, *arguments]
    return run(argv, cwd=Path("/"), env=env, check=False)


def test_wrong_names_list_the_right_ones() -> None:
    wrong = inv(ROOT, "package", "--distro", "debian-21")
    assert wrong.code == 2
    assert "did you mean" in wrong.output and ", ".join(distros.load()) in wrong.output
    wrong = inv(ROOT, "package", "--distro", "debian-12", "--component", "kernel")
    assert wrong.code == 2
    assert "kmod, receiver" in wrong.output


def test_second_run_has_nothing_to_do(packaged: Callable[[Distro], Path]) -> None:
    folder = packaged(distros.load()["debian-12"])
    before = {path.name: path.stat() for path in folder.iterdir()}
    again = inv(ROOT, "package", "--distro", "debian-12")
    assert again.code == 0, again.output
    assert "nothing has changed" in again.output
    assert {path.name: path.stat() for path in folder.iterdir()} == before


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree as it is now, committed in a repository of its own, at a path with a space in it."""
    root = tmp_path / "a copy"
    for name, path in source.files(".").items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for argv in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "copy"]):
        run(["git", "-C", root, *argv])
    return root


def test_failed_build_leaves_what_was_there(copy: Path) -> None:
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
