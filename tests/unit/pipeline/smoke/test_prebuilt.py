# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of a server without a compiler: whose packages it takes, and what would make it prove nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

import pytest

from panicast_build.core.errors import UserError
from panicast_build.smoke import prebuilt
from panicast_build.smoke.agent import Output
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.repo import Package
from panicast_build.smoke.system import System
from panicast_build.targets import distros

from .conftest import FakeServer


def test_packages_of_other_flavours_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    releases = ("6.1.0-56-amd64", "6.1.0-57-amd64", "6.1.0-57-cloud-amd64", "6.1.0-57-arm64")
    components = {
        release: {"files": [{"file": f"panicast-modules-{release}_1{end}"} for end in (".deb", ".dsc")]}
        for release in releases
    }
    monkeypatch.setattr(prebuilt.dist, "read", lambda _: {"components": components})
    monkeypatch.setattr(prebuilt, "read", lambda path: Package(path, path.name.split("_")[0], "1", "0"))
    found = prebuilt.built(distros.get("debian-12"))
    assert [package.name for package in found.packages] == [f"panicast-modules-{it}" for it in releases[:2]]
    assert found.newest == "panicast-modules-amd64"


def test_missing_packages_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prebuilt.dist, "read", lambda _: {})
    with pytest.raises(UserError, match="no package with the module for amd64") as error:
        prebuilt.built(distros.get("debian-12"))
    assert error.value.hint == "build it: ./inv modules --distro debian-12 --kernel amd64"
    with pytest.raises(UserError, match="the guests of el9 have Debian's kernel"):
        prebuilt.built(distros.get("el9"))


@pytest.mark.parametrize("tool", ["", "gcc", "cc", "make", "dkms"])
def test_a_server_that_could_compile_proves_nothing(tool: str, tmp_path: Path) -> None:
    if tool:
        (tmp_path / tool).symlink_to("/bin/true")
    bare = prebuilt.BARE.replace("/lib/modules", str(tmp_path))
    (tmp_path / "ls").symlink_to("/bin/ls")
    ran = subprocess.run(
        ["/bin/sh", "-c", bare], env={"PATH": str(tmp_path)}, capture_output=True, check=False
    )
    assert (ran.returncode == 0) == (not tool)
    (tmp_path / "6.1/build/include").mkdir(parents=True)
    ran = subprocess.run(
        ["/bin/sh", "-c", bare], env={"PATH": str(tmp_path)}, capture_output=True, check=False
    )
    assert ran.returncode != 0


def test_the_module_must_be_the_packages() -> None:
    made = prebuilt.Story.__new__(prebuilt.Story)
    for place, right in (("updates/panicast", True), ("updates/dkms", False)):
        said = Output(0, f"/lib/modules/6.1/{place}/panicast.ko\n", "")
        made._server = cast(System, FakeServer({"modinfo -n": said}))
        if right:
            made._is_of_package()
        else:
            with pytest.raises(SmokeFailure, match=r"from /lib/modules/6\.1/updates/dkms"):
                made._is_of_package()
