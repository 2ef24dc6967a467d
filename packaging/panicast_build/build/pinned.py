# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds images of Debian's family from the package versions that an earlier build recorded
(--locked)."""

from __future__ import annotations

from collections.abc import Mapping

import docker

from panicast_build.build import pins
from panicast_build.build.pins import Pinned
from panicast_build.engine import images
from panicast_build.targets.distros import Base


def image(
    client: docker.DockerClient,
    distro: Base,
    name: str,
    arguments: Mapping[str, str],
    wanted: Pinned,
) -> str:
    """Returns the tag of the image of containers/Containerfile.NAME with exactly the wanted packages
    and base. Raises UserError if the base is not here, or the archive no longer has all packages."""
    base = pins.base(client, distro, wanted)
    preferences = {"preferences": pins.preferences(wanted.packages)}
    parent = images.build(client, distro, "pinned", more=preferences, parent=base)
    tag = images.build(client, distro, name, buildargs=arguments, parent=parent)
    pins.check(client, tag, wanted.packages)
    return tag
