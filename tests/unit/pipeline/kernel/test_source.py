# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's packages in the cache: the newest alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from panicast_build.core.run import Result
from panicast_build.kernel import source
from panicast_build.targets import distros


class Box:
    """A container with a file of this name, and an archive that has two packages."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, path: str, dest: Path) -> None:
        (dest / Path(path).name).write_text("new")

    def run(self, argv: list[str], **_: object) -> Result:
        names = [f"{name}_6.1.3-1_all.deb" for name in argv[3:]] if "--print-uris" in argv else []
        return Result(0, "".join(f"'http://archive/{name}' {name} 7 SHA256:0\n" for name in names))


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


def test_the_source_of_one_series_leaves_those_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of linux-source-6.1 and linux-source-6.12 one name begins with the other."""
    folder = tmp_path / "source"
    for name, value in (("FOLDER", folder), ("LOGS", tmp_path / "logs"), ("Container", Box)):
        monkeypatch.setattr(source, name, value)
    distro = replace(
        distros.of_family(distros.DebDistro)["debian-12"],
        kernel_source="linux-source-6.1",
        kernel_config="linux-config-6.1",
    )
    folder.mkdir()
    for name in ("linux-source-6.12_6.12.9-1_all.deb", "linux-source-6.1_6.1.2-1_all.deb"):
        (folder / name).touch()
    client: Any = None
    assert source.newest(client, "image", distro).version == "6.1.3-1"
    assert {path.name for path in folder.iterdir()} == {
        "linux-source-6.12_6.12.9-1_all.deb",
        "linux-source-6.1_6.1.3-1_all.deb",
        "linux-config-6.1_6.1.3-1_all.deb",
    }
