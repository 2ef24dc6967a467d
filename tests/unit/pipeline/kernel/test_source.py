# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's packages in the cache: the newest alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from panicast_build.kernel import source


class Box:
    """A container with a file of this name."""

    def get(self, path: str, dest: Path) -> None:
        (dest / Path(path).name).write_text("new")


def test_a_newer_package_takes_the_place_of_the_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    for name in ("linux-source_6.1.1_all.deb", "linux-source_6.1.2_all.deb", "linux-other_6.1.1_all.deb"):
        (tmp_path / name).touch()
    box: Any = Box()
    kept = source.keep(box, "/package/linux-source_6.1.3_all.deb", "linux-source_")
    assert kept == tmp_path / "linux-source_6.1.3_all.deb" and kept.read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {kept.name, "linux-other_6.1.1_all.deb"}
