# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv package --offline in a network namespace that has no interface up and no route."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build.build import source
from panicast_build.core.paths import dist_dir
from panicast_build.core.run import Result, run
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

NAME = "debian-12"


@pytest.fixture
def alone(tmp_path: Path, copy_tree: Callable[..., None], packaged: Callable[[Distro], Path]) -> Callable:
    """alone(**env): builds the module's packages in a copy of the tree, without a network."""
    packaged(distros.get(NAME))
    root = tmp_path / "copy"
    copy_tree(root)

    def alone(**env: str) -> Result:
        assert run(["unshare", "--net", "ip", "route"]).output == ""
        argv = ["package", "--distro", NAME, "--component", "kmod", "--offline"]
        invoke: list[str | Path] = [sys.executable, "-m", "invoke", "--search-root", root, *argv]
        env = {"PYTHONPATH": str(root / "packaging"), **env}
        return run(["unshare", "--net", *invoke], cwd=root, env=env, check=False)

    return alone


def test_builds_the_same_without_a_network(alone: Callable[..., Result], tmp_path: Path) -> None:
    # A copy of the tree has a commit of its own.
    built = alone(SOURCE_DATE_EPOCH=str(source.epoch()))
    assert built.code == 0, built.output
    debs = sorted((tmp_path / "copy/dist" / NAME).glob("*.deb"))
    assert [deb.name.partition("_")[0] for deb in debs] == ["panicast-common", "panicast-dkms"]
    for deb in debs:
        assert deb.read_bytes() == (dist_dir(NAME) / deb.name).read_bytes()


def test_says_what_was_not_fetched(alone: Callable[..., Result]) -> None:
    refused = alone(PANICAST_MIRROR="http://127.0.0.1:9/never-fetched")
    assert refused.code == 2
    assert "--offline forbids" in refused.output and "./inv fetch" in refused.output
