# SPDX-License-Identifier: GPL-2.0-or-later
"""The image of the linters that this machine need not have."""

from __future__ import annotations

import docker
import pytest

from panicast_build.engine import images
from panicast_build.targets import distros


@pytest.fixture(scope="session")
def lint_image(client: docker.DockerClient) -> str:
    """What checks C, built packages and rules: see containers/Containerfile.lint."""
    distro = distros.of_family(distros.DebDistro)["debian-12"]
    arguments = {"KERNEL": distro.kernel, "KERNEL_HEADERS": distro.kernel_headers}
    return images.build(client, distro, "lint", buildargs=arguments)
