# SPDX-License-Identifier: GPL-2.0-or-later
"""Two emulated machines with the built packages: one crashes, the other has its last words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from panicast_build import smoke
from panicast_build.core import paths
from panicast_build.smoke import repo
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

DISTRO = "debian-12"
NIC = "virtio-net-pci"


@pytest.fixture(scope="module")
def report(packaged: Callable[[Distro], Path]) -> dict[str, Any]:
    """smoke.json after the story went well; it fails with what went wrong otherwise."""
    dist = packaged(distros.get(DISTRO))
    smoke.run(DISTRO, NIC)
    written: dict[str, Any] = json.loads((dist / "smoke.json").read_text())
    return written


def test_one_complete_record_for_each_crash(report: dict[str, Any]) -> None:
    assert [(r["type"], r["format"], r["complete"]) for r in report["records"]] == [
        ("panic", "v1", True),
        ("panic", "raw", True),
    ]


def test_the_record_knows_its_host_kernel_and_reason(report: dict[str, Any]) -> None:
    v1 = report["records"][0]
    assert (v1["host"], v1["release"]) == ("server", report["kernels"]["server"])
    assert "sysrq triggered crash" in v1["reason"]


def test_the_report_names_what_was_tested(report: dict[str, Any]) -> None:
    assert report["result"] == "pass" and not report["failure"]
    assert {package["name"] for package in report["packages"]} == set(repo.PACKAGES)
    for package in report["packages"]:
        assert (paths.dist_dir(DISTRO) / package["file"]).is_file()
    assert len(report["steps"]) > 5
