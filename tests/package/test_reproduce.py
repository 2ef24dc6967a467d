# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./inv reproduce says of two builds (test_contents.py builds in other surroundings)."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from panicast_build.build import reproduce
from panicast_build.core import tools


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two folders with the same tarball, and each with a .changes of its own."""
    tools.need("diffoscope")
    monkeypatch.setattr(reproduce, "LOGS", tmp_path / "logs")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        pack(folder, "the same")
        (folder / "p.changes").write_text(folder.name)
    return folders


def pack(folder: Path, text: str) -> None:
    (folder / "file").write_text(text)
    with tarfile.open(folder / "p.tar", "w") as tar:
        entry = tarfile.TarInfo("inside")
        entry.size = len(text)
        with (folder / "file").open("rb") as data:
            tar.addfile(entry, data)
    (folder / "file").unlink()


def test_the_same_is_the_same(builds: list[Path]) -> None:
    assert reproduce.compare("d", *builds) is None


def test_a_difference_is_shown_where_it_is(builds: list[Path]) -> None:
    pack(builds[1], "another")
    report = reproduce.compare("d", *builds)
    assert report is not None
    said = report.read_text()
    assert "inside" in said and "-the same" in said and "+another" in said


def test_a_file_that_is_in_one_only_is_a_difference(builds: list[Path]) -> None:
    (builds[0] / "p.tar").unlink()
    report = reproduce.compare("d", *builds)
    assert report is not None and "p.tar is not in" in report.read_text()
