# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds and removes our images that nothing needs any more."""

from __future__ import annotations

from http import HTTPStatus

import docker
from docker.errors import APIError
from docker.models.images import Image

from panicast_build.engine import images

OURS = "panicast/*"


def ours(client: docker.DockerClient) -> list[Image]:
    """Returns every image that the pipeline made or pulled as a base."""
    return client.images.list(filters={"reference": OURS})


def outdated(client: docker.DockerClient) -> list[Image]:
    """Returns the bases that were renewed, and the images made from them."""
    bases = {_base(image) for image in client.images.list(filters={"reference": images.BASES})}
    replaced = {image.id for image in client.images.list(filters={"reference": images.REPLACED})}
    return [image for image in ours(client) if image.id in replaced or _base(image) not in bases]


def size(client: docker.DockerClient) -> int:
    """Returns how many bytes the layers of all images of the engine occupy."""
    return int(client.df()["LayersSize"] or 0)


def remove(client: docker.DockerClient, unwanted: list[Image]) -> int:
    """Removes images, except those that a container uses, and returns how many it removed."""
    removed = 0
    # An image that others are made of can go only after them: newest first.
    for image in sorted(unwanted, key=lambda image: str(image.attrs["Created"]), reverse=True):
        try:
            for tag in image.tags:
                client.images.remove(tag)
                images.forget(tag, str(image.id))
        except APIError as error:
            if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise
            continue
        removed += 1
    return removed


def _base(image: Image) -> str:
    """Returns the bottom layer, which an image shares with its base."""
    return str((image.attrs["RootFS"].get("Layers") or [""])[0])
