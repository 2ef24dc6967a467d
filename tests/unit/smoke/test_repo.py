# SPDX-License-Identifier: GPL-2.0-or-later
"""The local apt repository: its index, and what it says when packages are missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from debian.deb822 import Packages

from panicast_build.errors import UserError
from panicast_build.smoke import repo


def package(folder: Path, name: str, **control: str) -> repo.Package:
    path = folder / f"{name}_1_all.deb"
    path.write_bytes(b"12345")
    fields = {"Package": name, "Version": "1", "Description": "short\n long\n .\n more", **control}
    return repo.Package(path, fields, "ab" * 32)


def test_the_index_has_a_paragraph_for_each_package(tmp_path: Path) -> None:
    made = [package(tmp_path, "panicast-dkms"), package(tmp_path, "panicast-receiver")]
    read = list(Packages.iter_paragraphs(repo.index(made), use_apt_pkg=False))
    assert [p["Filename"] for p in read] == ["./panicast-dkms_1_all.deb", "./panicast-receiver_1_all.deb"]
    assert all((p["Size"], p["SHA256"], p["Version"]) == ("5", "ab" * 32, "1") for p in read)
    assert read[0]["Description"].endswith("more")


def test_recommended_packages_are_wanted_too(tmp_path: Path) -> None:
    made = [
        package(tmp_path, "panicast-dkms", Depends="dkms", Recommends="linux-headers-amd64 | linux-headers"),
        package(tmp_path, "panicast-receiver", Depends="python3:any"),
    ]
    assert repo.wants(made) == "dkms, linux-headers-amd64 | linux-headers, python3:any"


def test_a_missing_package_is_said_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no panicast-dkms in") as error:
        repo.built(tmp_path, "debian-12")
    assert error.value.hint == "build it: ./inv package --distro debian-12"


def test_two_versions_of_a_package_are_refused(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"panicast-dkms_{version}_all.deb").touch()
    with pytest.raises(UserError, match="more than one panicast-dkms"):
        repo.built(tmp_path, "debian-12")
