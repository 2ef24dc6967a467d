# SPDX-License-Identifier: GPL-2.0-or-later
"""A stock kernel crashes with the module that a package brings to servers without a compiler."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from debian.debfile import DebFile

from panicast_build.core import tools
from panicast_build.crash import cases, guest, verdict
from panicast_build.crash.kit import Kit, kit
from panicast_build.targets import distros, kernels

from ..nightly import rows

# The kernels, and the targets whose archive they are of.
TESTED = {"6.1": "debian-12", "6.12": "debian-13", "6.1-arm64": "debian-12", "6.12-arm64": "debian-13"}


def packaged(made: Kit, built: Path, folder: Path) -> Kit:
    """The kit with the modules of the package for its kernel, in a folder of its own."""
    (deb,) = built.glob(f"panicast-modules-{made.release}_*.deb")
    data = DebFile(str(deb)).data.tgz()
    shutil.copytree(made.folder, folder)
    names = [name for name in data.getnames() if name.endswith(".ko")]
    assert sorted(Path(name).name for name in names) == ["panicast.ko", "panicast_seal.ko"]
    for name in names:
        file = data.extractfile(name)
        assert file is not None
        (folder / Path(name).name).write_bytes(file.read())
    return replace(made, folder=folder)


@pytest.mark.parametrize(
    ("name", "target"), rows({name: (name, of) for name, of in TESTED.items()}, ("6.1",))
)
def test_its_record_arrives(
    name: str, target: str, client: docker.DockerClient, prebuilt: Callable[..., Path], tmp_path: Path
) -> None:
    stock = kit(client, kernels.load()[name])
    tools.need(stock.architecture.qemu, "setpriv")
    made = packaged(stock, prebuilt(distros.get(target), stock.release), tmp_path / "kit")
    case = cases.load()["sysrq"]
    outcome = guest.crash(made, "virtio-net-pci", case)
    assert not verdict.fault(case, outcome), str(outcome)
