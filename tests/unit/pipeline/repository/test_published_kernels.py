# SPDX-License-Identifier: GPL-2.0-or-later
"""Of the kernels in dist/ only those are published that a machine may be given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.core.errors import UserError
from panicast_build.repository import kernels
from panicast_build.targets.distros import get

Built = Callable[..., None]
FILES = (
    "linux-image-6.1.192-panicast_6.1.192-3+panicast1_amd64.deb",
    "linux-headers-6.1.192-panicast_6.1.192-3+panicast1_amd64.deb",
    "linux-libc-dev_6.1.192-3+panicast1_amd64.deb",
    "linux-panicast_6.1.192-3+panicast1_amd64.buildinfo",
    "linux-panicast_6.1.192-3+panicast1.dsc",
)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    """built("distro", …): dist/ has kernels of Debian 12 in these configurations."""
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", tmp_path)

    def built(*configurations: str) -> None:
        folder = tmp_path / paths.kernel_target("debian-12")
        folder.mkdir(parents=True)
        components = {}
        for name in configurations:
            files = [f"{name}-{file}" if file.startswith("linux-image") else file for file in FILES]
            for file in files:
                (folder / file).touch()
            components[name] = {"files": [dist.describe(folder / file) for file in files]}
        (folder / "metadata.json").write_text(json.dumps({"components": components}))

    return built


def names() -> list[str]:
    return [path.name for path in kernels.built(get("debian-12"), (".deb", ".dsc"))]


def test_headers_of_the_c_library_stay_the_distributions(built: Built) -> None:
    built("distro")
    assert names() == [f"distro-{FILES[0]}", FILES[1], FILES[4]]


def test_the_tests_kernel_is_never_published(built: Built) -> None:
    built("distro", "smoke")
    assert not [name for name in names() if name.startswith("smoke-")]


def test_a_kernel_without_its_source_is_refused(
    built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built("distro")
    stated = tmp_path / paths.kernel_target("debian-12") / "metadata.json"
    stated.write_text(stated.read_text().replace(".dsc", ".changes"))
    with pytest.raises(UserError, match="configuration distro lacks its source package"):
        names()


def test_a_kernel_that_is_called_as_the_distributions_is_refused(tmp_path: Path, built: Built) -> None:
    """As RPMs of earlier versions are."""
    folder = tmp_path / paths.kernel_target("el9")
    folder.mkdir(parents=True)
    called = ("kernel-core-5.14.0-1.panicast.el9.x86_64.rpm", "kernel-5.14.0-1.panicast.el9.src.rpm")
    for file in called:
        (folder / file).touch()
    stated = {"components": {"distro": {"files": [dist.describe(folder / file) for file in called]}}}
    (folder / "metadata.json").write_text(json.dumps(stated))
    with pytest.raises(UserError, match="or is called as the distribution's") as refused:
        list(kernels.built(get("el9"), (".rpm",)))
    assert refused.value.hint == "build it again: ./inv kernel --distro el9 --config distro"


def test_nothing_but_the_tests_kernel_is_an_error_that_says_what_to_do(built: Built) -> None:
    built("smoke")
    with pytest.raises(UserError, match="no kernel of debian-12 can be published: smoke was built"):
        names()


def test_where_no_kernel_was_built_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", tmp_path)
    with pytest.raises(
        UserError, match="no kernel of debian-12 can be published: nothing was built"
    ) as refused:
        names()
    assert refused.value.hint == "run: ./inv kernel --distro debian-12 --config distro"
