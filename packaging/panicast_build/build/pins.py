# SPDX-License-Identifier: GPL-2.0-or-later
"""Records the exact packages of an image in metadata.json, and checks an image against a record
(--locked)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import docker

from panicast_build.build import dist
from panicast_build.core import files
from panicast_build.core.errors import UserError
from panicast_build.core.paths import CACHE
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets.distros import Base

# Whichever of them an image has: NAME=VERSION lines.
LIST = """
if [ -e /var/lib/dpkg/status ]; then dpkg-query -W -f '${Package}:${Architecture}=${Version}\\n'
else rpm -qa --qf '%{NAME}.%{ARCH}=%{VERSION}-%{RELEASE}\\n'; fi
"""
# More than anything that is wanted by hand: also where that is a downgrade.
PRIORITY = 1001
FEW = 5


def of(client: docker.DockerClient, tag: str) -> dict[str, Any]:
    """Returns {"tag", "id", "base": {"layer", "digests"}, "packages": {NAME:ARCHITECTURE:
    VERSION}}.

    layer is the SHA-256 of the base's root file system as a tar archive. digests are the
    registries' names of the base, or the engine's own id if no registry has it.
    """
    image = client.images.get(tag)
    return {
        "tag": tag,
        "id": image.id,
        "base": {
            "layer": image.attrs["RootFS"]["Layers"][0],
            "digests": _digests(client, image.attrs["RootFS"]["Layers"]),
        },
        "packages": _packages(client, str(image.id)),
    }


def _digests(client: docker.DockerClient, layers: Sequence[str]) -> list[str]:
    """Returns the names of the base that an image with these layers was made from."""
    for base in [*client.images.list(images.BASES), *client.images.list(images.REPLACED)]:
        below = base.attrs["RootFS"]["Layers"]
        if layers[: len(below)] == below:
            return sorted(base.attrs.get("RepoDigests") or [f"{images.BASES}@{base.id}"])
    raise UserError("the base image of a build image is gone", "run the command again: it rebuilds the image")


def _packages(client: docker.DockerClient, image_id: str) -> dict[str, str]:
    """Returns the packages of an image. It asks once, because an image does not change."""
    known = CACHE / "images" / f"{image_id.removeprefix('sha256:')}.json"
    if not known.exists():
        with Container(client, image_id) as box:
            listed = box.run(["sh", "-c", LIST]).output.split()
        known.parent.mkdir(parents=True, exist_ok=True)
        files.write(known, json.dumps(dict(sorted(line.split("=", 1) for line in listed))))
    found: dict[str, str] = json.loads(known.read_text())
    return found


class Pinned(NamedTuple):
    """Says what an image must be made of: packages by name with their versions, on a base's layer.
    digests are the names of that base in registries."""

    packages: Mapping[str, str]
    layer: str
    digests: Sequence[str]


def recorded(distro: str, component: str) -> Pinned:
    """Returns what the image was made of in which a component of dist/DISTRO was built. Raises
    UserError if it was not built."""
    try:
        stated = dist.read(distro)["components"][component]["inputs"]["image"]
        return Pinned(stated["packages"], stated["base"]["layer"], stated["base"]["digests"])
    except KeyError:
        raise UserError(
            f"dist/{distro}/metadata.json does not say what {component} was built with",
            "build it once without --locked, or put the metadata.json of the build to repeat there",
        ) from None


def base(client: docker.DockerClient, distro: Base, wanted: Pinned) -> str:
    """Returns the tag of the base image that has the recorded layer: the newest, one that was renewed
    since, or the one that a registry has by its digest. Raises UserError if there is none."""
    newest = images.base(client, distro)
    others = [tag for image in client.images.list(images.REPLACED) for tag in image.tags]
    for tag in (newest, *others):
        if client.images.get(tag).attrs["RootFS"]["Layers"][0] == wanted.layer:
            return tag
    for name in wanted.digests:
        if not name.startswith(images.BASES) and (tag := images.pull_old(client, name)):
            return tag
    raise UserError(
        f"{distro.name}'s base image here is not the one that was recorded, {wanted.layer}",
        "bring that one (docker save, docker load), or leave out --locked",
    )


def preferences(packages: Mapping[str, str]) -> bytes:
    """Returns apt preferences that allow only these versions."""
    return "\n".join(
        f"Package: {name}\nPin: version {version}\nPin-Priority: {PRIORITY}\n"
        for name, version in packages.items()
    ).encode()


def check(client: docker.DockerClient, tag: str, wanted: Mapping[str, str]) -> None:
    """Raises UserError, with some of the differences, unless the image has exactly these packages."""
    has = _packages(client, str(client.images.get(tag).id))
    other = [
        f"{name} {wanted.get(name, 'none')}, not {has.get(name, 'none')}"
        for name in sorted({*wanted, *has})
        if wanted.get(name) != has.get(name)
    ]
    if other:
        raise UserError(
            f"{tag} cannot be built from the recorded versions: {'; '.join(other[:FEW])}"
            + (f" and {len(other) - FEW} more" if len(other) > FEW else ""),
            "the archive no longer has them: name one that has with PANICAST_MIRROR, or leave out --locked",
        )
