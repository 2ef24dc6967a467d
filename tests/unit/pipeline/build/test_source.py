# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files of the tree are packaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.build import source
from panicast_build.core.run import run


def test_what_git_ignores_or_was_deleted_is_in_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "ROOT", tmp_path)
    names = ("kmod/old.c", "kmod/gone.c", "kmod/below/new.c", "kmod/old.o", "receiver/other.py")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_text("*.o\n")
    run(["git", "-C", tmp_path, "init", "-q"])
    run(["git", "-C", tmp_path, "add", "kmod/old.c", "kmod/gone.c"])
    (tmp_path / "kmod/gone.c").unlink()
    assert source.files("kmod") == {
        "below/new.c": tmp_path / "kmod/below/new.c",
        "old.c": tmp_path / "kmod/old.c",
    }
