# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of more than one folder stand on: the container engine, the targets, their built packages."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import docker
import pytest

from panicast_build import distros, engine, images, package
from panicast_build.distros import DebDistro, Distro
from panicast_build.paths import dist_dir


@pytest.fixture(scope="session")
def client() -> docker.DockerClient:
    """The container engine."""
    return engine.connect()


# Those that stand for all in every run; others by the names in this variable.
TESTED = os.environ.get("PANICAST_TEST_DISTROS", "debian-12,debian-13")


@pytest.fixture(scope="session", params=[distro.name for distro in distros.select(TESTED)])
def distro(request: pytest.FixtureRequest) -> DebDistro:
    """Each tested target that takes Debian packages in turn."""
    return distros.of_family(DebDistro)[request.param]


@pytest.fixture(scope="session")
def first_distro() -> DebDistro:
    """The first of them, for what takes too long to be done on each."""
    return distros.of_family(DebDistro)[distros.select(TESTED)[0].name]


@pytest.fixture(scope="session")
def packaged() -> Callable[[Distro], Path]:
    """Called with a target: the folder of its packages, built now if need be."""

    @cache
    def packaged(distro: Distro) -> Path:
        package.run(distro.name)
        return dist_dir(distro.name)

    return packaged


@pytest.fixture(scope="session")
def test_image(client: docker.DockerClient) -> Callable[[DebDistro], str]:
    """Called with a target: the image of a machine with its kernel's headers and dkms."""

    def test_image(distro: DebDistro) -> str:
        arguments = {"KERNEL_HEADERS": distro.kernel_headers, "OTHER_KERNEL": " ".join(distro.other_kernel)}
        return images.build(client, distro, "test-deb", buildargs=arguments)

    return test_image
