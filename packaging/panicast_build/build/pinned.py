# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds images of Debian's family from the package versions that an earlier build recorded
(--locked)."""

from __future__ import annotations

from collections.abc import Mapping

import docker

from panicast_build.build import pins
from panicast_build.engine import images
from panicast_build.targets.distros import Base


def image(
    client: docker.DockerClient,
    distro: Base,
    name: str,
    arguments: Mapping[str, str],
    packages: Mapping[str, str],
) -> str:
    """Returns the tag of the image of containers/Containerfile.NAME with exactly these packages.
    Raises UserError if the archive no longer has all of them."""
    parent = images.build(client, distro, "pinned", more={"preferences": pins.preferences(packages)})
    tag = images.build(client, distro, name, buildargs=arguments, parent=parent)
    pins.check(client, tag, packages)
    return tag
