# SPDX-License-Identifier: GPL-2.0-or-later
"""The patched kernel beside a stock one: what `dmesg -c` has cleared is still in its record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from panicast_build import smoke
from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.kernel import config, task
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import Wanted
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

from ..built import kept

DISTRO = "debian-12"
CONFIG = "smoke"
NIC = "virtio-net-pci"


@pytest.fixture(scope="module")
def kernel() -> Path:
    """The folder of the trimmed kernel's packages, built now if need be."""
    target = paths.kernel_target(DISTRO)
    with kept(target):
        task.run(DISTRO, Options(Wanted(config.get(CONFIG))))
    return paths.dist_dir(target)


@pytest.fixture(scope="module")
def report(packaged: Callable[[Distro], Path], kernel: Path) -> dict[str, Any]:
    """smoke-patched.json after the story went well; it fails with what went wrong otherwise."""
    folder = packaged(distros.get(DISTRO))
    smoke.run(DISTRO, NIC, smoke.PATCHED, CONFIG)
    written: dict[str, Any] = json.loads((folder / "smoke-patched.json").read_text())
    return written


def test_it_is_not_built_twice(kernel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.stat() for path in kernel.iterdir()}
    task.run(DISTRO, Options(Wanted(config.get(CONFIG))))
    assert "nothing has changed" in capsys.readouterr().err
    assert {path.name: path.stat() for path in kernel.iterdir()} == before


def test_packages_say_what_they_are(kernel: Path) -> None:
    built = dist.read(paths.kernel_target(DISTRO))["components"][CONFIG]
    names = {entry["file"].partition("_")[0] for entry in built["files"] if entry["file"].endswith(".deb")}
    assert {name.rpartition("-panicast-smoke")[1] for name in names} == {"-panicast-smoke", ""}
    assert len(names) == 3 and "linux-libc-dev" in names
    assert all("+panicast1~smoke_" in entry["file"] for entry in built["files"])
    sums = (kernel / dist.SUMS).read_text()
    assert all(f"{entry['sha256']}  {entry['file']}\n" in sums for entry in built["files"])


def test_both_kernels_crashed_and_were_heard(report: dict[str, Any]) -> None:
    assert report["result"] == "pass" and report["kernel"] == "patched"
    releases = [record["release"] for record in report["records"]]
    assert len(releases) == 2 and [("panicast" in release) for release in releases] == [False, True]
    assert all(record["complete"] for record in report["records"])
