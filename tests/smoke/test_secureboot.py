# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that Debian's signed chain boots on firmware with Secure Boot enforcing: its kernel refuses the
module until the key is enrolled, then the same module loads and a crash is heard."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from panicast_build import smoke
from panicast_build.core import tools
from panicast_build.smoke import uefi
from panicast_build.smoke.image import GuestImage
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

DISTRO = "debian-12"
NIC = "virtio-net-pci"


@pytest.fixture
def loaders(tmp_path: Path) -> Path:
    folder = tmp_path / "loaders"
    folder.mkdir()
    for name in ("code.fd", "vars.fd", "shimx64.efi", "grubx64.efi", "mmx64.efi"):
        (folder / name).write_text(name)
    return folder


def test_the_system_partition_has_the_whole_chain(tmp_path: Path, loaders: Path) -> None:
    image = GuestImage(tmp_path / "root", tmp_path / "kernel", tmp_path / "initrd")
    for path in (image.kernel, image.initrd):
        path.write_text(path.name)
    made = uefi.firmware(loaders, image, "root=/dev/vda quiet", tmp_path)
    assert made.variables.read_text() == "vars.fd" and made.variables.parent == tmp_path

    def read(path: str) -> str:
        argv = [tools.find("mtype") or "mtype", "-i", f"{made.esp}@@{uefi.START_MIB}M", f"::/{path}"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert read("EFI/BOOT/BOOTX64.EFI") == "shimx64.efi"
    assert read("EFI/BOOT/grubx64.efi") == "grubx64.efi" and read("vmlinuz") == "kernel"
    assert "linux /vmlinuz root=/dev/vda quiet\n" in read("EFI/debian/grub.cfg")
    table = subprocess.run(
        [tools.find("sfdisk") or "sfdisk", "--dump", made.esp], capture_output=True, text=True, check=True
    ).stdout
    assert uefi.ESP_TYPE in table


@pytest.fixture(scope="module")
def report(packaged: Callable[[Distro], Path]) -> dict[str, Any]:
    """smoke-secureboot.json after the story went well; it fails with what went wrong otherwise."""
    folder = packaged(distros.get(DISTRO))
    smoke.run(DISTRO, NIC, smoke.SECURE_BOOT)
    written: dict[str, Any] = json.loads((folder / "smoke-secureboot.json").read_text())
    return written


def test_the_enrolled_module_was_heard(report: dict[str, Any]) -> None:
    assert report["result"] == "pass" and report["kernel"] == "secureboot"
    assert [(r["type"], r["host"], r["format"], r["complete"]) for r in report["records"]] == [
        ("panic", "server", "v1", True)
    ]


def test_refusal_enrolling_and_own_key_were_gone_through(report: dict[str, Any]) -> None:
    steps = [step["step"] for step in report["steps"]]
    told = ("not enrolled", "the same module loads", "without signature", "their own key set")
    order = [next(number for number, step in enumerate(steps) if words in step) for words in told]
    assert order == sorted(order)
