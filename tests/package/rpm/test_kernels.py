# SPDX-License-Identifier: GPL-2.0-or-later
"""A patched kernel in RPMs, as ./inv kernel makes them of a distribution's: dnf installs all of it, and
panicast-dkms builds the module for it. A kernel that is made here stands in for the distribution's."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from panicast_build.targets import metadata

from ..kernel import stand_in
from .conftest import Start

DKMS = "panicast-dkms"
KERNEL = "kernel-panicast"
RELEASE = f"{stand_in.VERSION}-1.panicast.el9.x86_64"


@pytest.fixture(scope="module")
def kernel(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("kernel")
    tree = stand_in.tarball(client, folder)
    (srpm,) = stand_in.packed(client, tree, folder, stand_in.SPEC.read_text())
    rpms = stand_in.patched(client, srpm, folder / "out")
    return [path for path in rpms if not path.name.endswith(".src.rpm")]


def test_all_of_it_is_installed_and_dkms_finds_its_headers(kernel: list[Path], start: Start) -> None:
    machine = start()
    (headers,) = machine.run(["sh", "-c", "ls -d /usr/src/linux-headers-*-amd64"]).output.split()
    machine.run(["ln", "-s", headers, "/usr/src/headers"])
    machine.add(kernel)

    def installed() -> set[str]:
        return set(machine.run(["rpm", "-qa"]).output.split())

    # As on a server that has such a kernel: nobody has to know the name of its headers' package.
    machine.do("install", DKMS, f"{KERNEL}-core")
    assert f"{KERNEL}-devel-{RELEASE}" in installed()
    (module,) = machine.modules()
    assert module.startswith(f"/lib/modules/{RELEASE}/")
    assert machine.module_version() == metadata.load().version

    names = [path.name.removesuffix(".rpm") for path in kernel]
    machine.do("install", *names)
    assert set(names) <= installed()
    before = installed()
    machine.do("upgrade")
    assert installed() == before

    # What build-modules advises where the headers are missing.
    machine.run(["rpm", "-e", f"{KERNEL}-devel", f"{KERNEL}-devel-matched", "--nodeps"])
    machine.do("install", f"kernel-devel-uname-r = {RELEASE}")
    assert f"{KERNEL}-devel-{RELEASE}" in installed()
