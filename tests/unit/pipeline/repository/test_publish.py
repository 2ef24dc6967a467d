# SPDX-License-Identifier: GPL-2.0-or-later
"""A publication is seen whole or not at all, and what an earlier one names stays for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.repository import publish


def put(out: Path, text: str) -> Path:
    with publish.publishing(out) as made:
        (made.folder / "deb").mkdir(exist_ok=True)
        (made.folder / "deb/Release").write_text(text)
        (made.folder / f"deb/hash-of-{text}").write_text(text)
        made.indexes.append(f"deb/hash-of-{text}")
        (made.folder / f"deb/{text}.deb").write_text(text)
        made.packages[f"deb/{text}.deb"] = text
    return out / "snapshots" / made.name


def test_packages_stay_and_indexes_for_a_while(tmp_path: Path) -> None:
    first = put(tmp_path, "0")
    assert (tmp_path / "current").resolve() == first
    for number in range(1, publish.KEEP + 1):
        put(tmp_path, str(number))
    current = tmp_path / "deb"
    assert (current / "Release").read_text() == str(publish.KEEP)
    assert (current / "0.deb").read_text() == "0" and (current / "hash-of-0").read_text() == "0"
    assert len(publish.published(tmp_path)) == publish.KEEP and not first.exists()
    put(tmp_path, "last")
    assert (current / "0.deb").exists() and not (current / "hash-of-0").exists()


def test_one_that_fails_changes_nothing(tmp_path: Path) -> None:
    first = put(tmp_path, "0")
    with pytest.raises(RuntimeError), publish.publishing(tmp_path) as made:
        (made.folder / "deb/half").touch()
        raise RuntimeError
    assert (tmp_path / "current").resolve() == first and not (tmp_path / "deb/half").exists()
    second = put(tmp_path, "1")
    # What the failed one left is gone.
    assert sorted((tmp_path / "snapshots").iterdir()) == [first, second]


def test_a_folder_without_a_manifest_was_not_published(tmp_path: Path) -> None:
    first = put(tmp_path, "0")
    (tmp_path / "snapshots/20991231T000000000000Z").mkdir()
    assert publish.published(tmp_path) == [first]
    second = put(tmp_path, "1")
    assert (tmp_path / "current").resolve() == second and (tmp_path / "deb/0.deb").exists()
