# SPDX-License-Identifier: GPL-2.0-or-later
"""A server without a compiler gets the module by apt, loads it by itself at boot, and crashes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build import smoke
from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

from ..built import copy

DISTRO = "debian-12"
NIC = "virtio-net-pci"


@pytest.mark.nightly
def test_its_crash_is_heard(
    packaged: Callable[[Distro], Path],
    prebuilt: Callable[[Distro], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distro = distros.get(DISTRO)
    built = {DISTRO: packaged(distro), paths.modules_target(DISTRO): prebuilt(distro)}
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", tmp_path)
    for target, folder in built.items():
        copy(folder, paths.dist_dir(target))
    smoke.run(DISTRO, NIC, smoke.MODULES)
    report = json.loads((tmp_path / DISTRO / "smoke-modules.json").read_text())
    assert report["result"] == "pass" and report["kernel"] == "modules"
    assert [(r["type"], r["host"], r["format"], r["complete"]) for r in report["records"]] == [
        ("panic", "server", "v1", True)
    ]
