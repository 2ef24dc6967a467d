# SPDX-License-Identifier: GPL-2.0-or-later
"""Container images: a distro's base, and what containers/Containerfile.NAME makes from it.

A tag is a hash of everything that goes into the image, so an existing image is the right one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO

import docker
from docker.errors import DockerException, ImageNotFound
from docker.models.images import Image

from panicast_build.core import archive, files, progress
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import CACHE, LOGS, ROOT
from panicast_build.engine import bootstrap
from panicast_build.targets.distros import Base

CONTAINERFILES = ROOT / "containers"
REGISTRY_SECONDS = 8
# What the base images are called, before their tags.
BASES = "panicast/base"


def digest(value: object) -> str:
    """Returns a short hash of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def mirror() -> str:
    """Returns the package archive that the user named; "" for the distro's own."""
    return os.environ.get("PANICAST_MIRROR", "")


def offline() -> bool:
    """Tells whether the network must not be used."""
    return os.environ.get("PANICAST_OFFLINE", "") not in ("", "0")


def _brought(tag: str) -> None:
    """Raises UserError if tag does not exist and making it needs the network."""
    if offline():
        raise UserError(
            f"the image {tag} does not exist, and --offline forbids building it",
            "run with a network: ./inv fetch --distro …",
        )


def exists(client: docker.DockerClient, tag: str) -> bool:
    """Tells whether the engine has an image called tag."""
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


# What a base is called once another has its tag, until it is removed.
REPLACED = "panicast/replaced"


def _base_tag(distro: Base) -> str:
    return f"{BASES}:{distro.suite}-{digest([distro.image, mirror()])}"


def base(client: docker.DockerClient, distro: Base) -> str:
    """Returns the tag of the distro's base image.

    It pulls the image if a registry answers and no mirror is named. Otherwise it bootstraps the
    image from the package archive, and keeps it in the cache as a tarball.
    """
    tag = _base_tag(distro)
    with files.locked(_lock(tag)):
        if not exists(client, tag):
            _brought(tag)
            if mirror() or not _pull(client, distro, tag):
                _bootstrap(client, distro, tag)
    return tag


def renew(client: docker.DockerClient, distro: Base) -> str:
    """Pulls or bootstraps the distro's base image again and returns its tag.

    The old one stays until then, and if no network answers.
    """
    tag = _base_tag(distro)
    if offline():
        raise UserError(f"{tag} cannot be renewed without a network", "unset PANICAST_OFFLINE")
    with files.locked(_lock(tag)):
        before = client.images.get(tag) if exists(client, tag) else None
        if mirror() or not _pull(client, distro, tag):
            old = _tarball(tag)
            kept = old.rename(old.with_name(f"{old.name}.old")) if old.exists() else None
            try:
                _bootstrap(client, distro, tag)
            except (BuildError, UserError):
                if kept:
                    kept.rename(old)
                raise
            if kept:
                kept.unlink()
        if before and before.id != client.images.get(tag).id:
            before.tag(REPLACED, tag.rpartition(":")[2])
    return tag


def forget(tag: str, image_id: str) -> None:
    """Removes the files beside a deleted image: its archive and the list of its packages."""
    # A replaced base ends like the one that has taken its place, whose archive stays.
    if tag.startswith(f"{BASES}:"):
        _tarball(tag).unlink(missing_ok=True)
    (CACHE / "images" / f"{image_id.removeprefix('sha256:')}.json").unlink(missing_ok=True)


def _tarball(tag: str) -> Path:
    """Returns the archive from which a base image was imported."""
    return CACHE / "images" / f"{tag.rpartition(':')[2]}.tar"


def _lock(tag: str) -> Path:
    """Returns the lock that keeps processes from making the same image at once."""
    return CACHE / "images" / f"{tag.replace('/', '-').replace(':', '-')}{files.LOCK}"


def obtainable(client: docker.DockerClient, distro: Base) -> bool:
    """Tells whether the distro's base image is here, or a registry has it."""
    return exists(client, _base_tag(distro)) or _registry_has(client, distro.image)


@cache
def _registry_has(client: docker.DockerClient, image: str) -> bool:
    if offline():
        return False
    patience, client.api.timeout = client.api.timeout, REGISTRY_SECONDS
    try:
        # A description is quick to have or be refused; a pull could hang where packets are dropped.
        client.api.inspect_distribution(image)  # type: ignore[no-untyped-call]
    except (DockerException, OSError):
        return False
    finally:
        client.api.timeout = patience
    return True


def _pull(client: docker.DockerClient, distro: Base, tag: str) -> bool:
    if not _registry_has(client, distro.image):
        progress.say(f"no registry answers for {distro.image}: using the distro's package archive")
        return False
    with progress.step(f"pulling {distro.image}"):
        repository, _, version = distro.image.partition(":")
        _name(client.images.pull(repository, tag=version), tag)
    return True


def _name(image: Image, tag: str) -> None:
    """Calls an image REPOSITORY:TAG, in the two words that every engine understands."""
    repository, _, version = tag.partition(":")
    image.tag(repository, version)


def pull_old(client: docker.DockerClient, name: str) -> str:
    """Returns the tag of the base that a registry knows by a digest; "" if it no longer has it."""
    if not _registry_has(client, name):
        return ""
    with progress.step(f"pulling {name}"):
        tag = f"{REPLACED}:{digest(name)}"
        _name(client.images.pull(name), tag)
    return tag


def _bootstrap(client: docker.DockerClient, distro: Base, tag: str) -> None:
    name = tag.rpartition(":")[2]
    tarball = _tarball(tag)
    for folder in (tarball.parent, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    if not tarball.exists():
        log_path = LOGS / f"base-{name}.log"
        # Ends in .tar, by which the bootstrap knows what to write.
        part = tarball.with_name(f"{name}.part.tar")
        with progress.step(f"bootstrapping {distro.title} from its package archive", log=log_path):
            bootstrap.BOOTSTRAPS[distro.family](distro, mirror(), part, log_path)
        part.replace(tarball)
    with progress.step(f"importing {tag}"):
        answer = client.api.import_image_from_file(str(tarball))
        imported = re.search(r'"status": ?"(sha256:[0-9a-f]{64})"', answer)
        if not imported:
            raise UserError(f"the container engine refused the base image of {distro.name}", answer.strip())
        # Only now: while Podman imports it ignores the tag.
        _name(client.images.get(imported[1]), tag)


def recipe(name: str) -> Path:
    """Returns the path of Containerfile.NAME."""
    return CONTAINERFILES / f"Containerfile.{name}"


def build(
    client: docker.DockerClient,
    distro: Base,
    name: str,
    buildargs: Mapping[str, str] | None = None,
    more: Mapping[str, Path | bytes] | None = None,
    parent: str = "",
) -> str:
    """Returns the tag of the image that containers/Containerfile.NAME makes from parent, its
    argument BASE ("": the distro's base).

    Its COPY lines find the folder containers/NAME, and the given files by name. Raises BuildError
    with its log.
    """
    parent = parent or base(client, distro)
    arguments = {"BASE": parent, **(buildargs or {})}
    context = {"Containerfile": recipe(name), **archive.read_tree(CONTAINERFILES / name), **(more or {})}
    with tempfile.TemporaryFile() as tar:
        archive.write_tar(tar, context)
        tar.seek(0)
        inputs = [hashlib.file_digest(tar, "sha256").hexdigest(), client.images.get(parent).id, arguments]
        tag = f"panicast/{name}:{distro.name}-{digest(inputs)}"
        with files.locked(_lock(tag)):
            if not exists(client, tag):
                _brought(tag)
                tar.seek(0)
                _build(client, tag, tar, arguments)
    return tag


def _build(client: docker.DockerClient, tag: str, context: IO[bytes], arguments: Mapping[str, str]) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"image-{tag.removeprefix('panicast/').replace(':', '-')}.log"
    with progress.step(f"building the container image {tag}", log=log_path), log_path.open("w") as log:
        events = client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile="Containerfile",
            tag=tag,
            buildargs=dict(arguments),
            # The base image's name is a local tag; the packages come over the machine's own network.
            pull=False,
            network_mode="host",
            rm=True,
            forcerm=True,
            decode=True,
        )
        for event in events:
            log.write(event.get("stream", ""))
            log.flush()
            if problem := event.get("error"):
                log.write(f"{problem}\n")
                raise BuildError(f"the container image {tag} could not be built", log_path)
