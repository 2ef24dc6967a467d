# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages under test as a repository: apt's index, versions, what it says when packages are missing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from panicast_build.core.errors import UserError
from panicast_build.smoke import debs, repo, rpms
from panicast_build.smoke.repo import Package


def package(folder: Path, name: str) -> Package:
    path = folder / f"{name}_1_all.deb"
    path.write_bytes(b"12345")
    return Package(path, name, "1", "ab" * 32)


def test_recommended_packages_are_wanted_too_but_none_under_test() -> None:
    controls = [
        {
            "Package": "a",
            "Depends": "b (= 1), dkms",
            "Recommends": "linux-headers-amd64 |\n linux-headers",
        },
        {"Package": "b", "Depends": "python3:any"},
    ]
    assert debs.wants(controls) == "dkms, linux-headers-amd64 |\n linux-headers, python3:any"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("panicast-dkms-0.1.0-1.el9.noarch.rpm", "0.1.0-1.el9"),
        ("panicast-dkms-0.1.0-1.noarch.rpm", "0.1.0-1"),
    ],
)
def test_an_rpm_tells_its_version_by_its_name(name: str, version: str) -> None:
    assert rpms.version(Path("/dist") / name) == version


def found(folder: Path) -> list[Package]:
    return repo.built(folder, "debian-12", "{name}_*.deb", lambda path: path.name.split("_")[1])


def test_packages_are_found_with_their_hashes(tmp_path: Path) -> None:
    for name in repo.PACKAGES:
        package(tmp_path, name)
    assert [(p.name, p.version) for p in found(tmp_path)] == [(name, "1") for name in repo.PACKAGES]
    assert found(tmp_path)[0].sha256 == hashlib.sha256(b"12345").hexdigest()


def test_a_missing_package_is_said_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no panicast-common in") as error:
        found(tmp_path)
    assert error.value.hint == "build it: ./inv package --distro debian-12"


def test_two_versions_of_a_package_are_refused(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"panicast-common_{version}_all.deb").touch()
    with pytest.raises(UserError, match="more than one panicast-common"):
        found(tmp_path)
