# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of Debian's family that are made of the versions an earlier build recorded (--locked)."""

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
    """The tag of the image of containers/Containerfile.NAME with just these packages; UserError if the
    archive has not all of them any more."""
    parent = images.build(client, distro, "pinned", more={"preferences": pins.preferences(packages)})
    tag = images.build(client, distro, name, buildargs=arguments, parent=parent)
    pins.check(client, tag, packages)
    return tag
