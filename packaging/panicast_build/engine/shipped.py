# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes an image as an archive for other machines, whose bytes depend only on its contents.

The archive is an OCI image layout with Docker's manifest.json beside it, so that docker load, podman
load and skopeo read it. The image has one layer: times are at most the given one, and what the
engine puts into every container is left out.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import docker

from panicast_build.core import archive
from panicast_build.engine import engine
from panicast_build.engine.container import CHUNK

# What of the engine's description of an image says how to run it.
RUN = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)
OCI, MANIFEST = "application/vnd.oci.image", "manifest.v1+json"
# What an engine makes in every container: mount points of its own, which no image needs.
ENGINES = (".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf")


def write(client: docker.DockerClient, tag: str, name: str, epoch: int, dest: Path) -> None:
    """Writes the image tag to the tar archive dest, where it is called name (REPOSITORY:VERSION) and
    was made at epoch, in seconds since 1970."""
    about = client.images.get(tag).attrs
    with tempfile.TemporaryDirectory(dir=dest.parent, prefix=".layer-") as folder:
        layer = Path(folder) / "layer.tar.gz"
        contents = _write_layer(client, tag, epoch, layer)
        files: dict[str, Path | bytes] = {}

        def blob(kind: str, data: Path | bytes) -> dict[str, Any]:
            """Adds a blob and returns its OCI descriptor."""
            digest, size = _digest(data)
            files[f"blobs/sha256/{digest}"] = data
            return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": size}

        made = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        config = {
            "architecture": about["Architecture"],
            "os": about["Os"],
            "created": made,
            "config": {key: value for key in RUN if (value := about["Config"].get(key))},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{contents}"]},
            "history": [{"created": made, "created_by": name}],
        }
        about_it, files_of_it = blob("config.v1+json", _json(config)), blob("layer.v1.tar+gzip", layer)
        parts = {"schemaVersion": 2, "config": about_it, "layers": [files_of_it]}
        manifest = blob(MANIFEST, _json({"mediaType": f"{OCI}.{MANIFEST}", **parts}))
        # What podman and what containerd call it.
        named = {
            "org.opencontainers.image.ref.name": name,
            "io.containerd.image.name": f"docker.io/library/{name}",
        }
        index = {"schemaVersion": 2, "manifests": [{**manifest, "annotations": named}]}
        places = {"Config": _place(about_it), "RepoTags": [name], "Layers": [_place(files_of_it)]}
        files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
        files["index.json"] = _json(index)
        files["manifest.json"] = _json([places])
        with dest.open("wb") as out:
            archive.write_tar(out, files, mtime=epoch)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _place(descriptor: Mapping[str, Any]) -> str:
    return f"blobs/{str(descriptor['digest']).replace(':', '/')}"


def _digest(data: Path | bytes) -> tuple[str, int]:
    """Returns the SHA-256 of a blob in hex, and its size in bytes."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest(), len(data)
    with data.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest(), data.stat().st_size


class _Hashed:
    """Passes what is written on to a file and hashes it."""

    def __init__(self, out: gzip.GzipFile) -> None:
        self._out, self._hash = out, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Writes data and returns its length."""
        self._hash.update(data)
        return self._out.write(data)

    def hexdigest(self) -> str:
        """Returns the SHA-256 of all that was written, in hex."""
        return self._hash.hexdigest()


def _write_layer(client: docker.DockerClient, tag: str, epoch: int, dest: Path) -> str:
    """Writes the files of an image, and returns the SHA-256 of the archive before its compression."""
    with tempfile.TemporaryFile(dir=dest.parent) as whole:
        for chunk in _files(client, tag):
            whole.write(chunk)
        whole.seek(0)
        with (
            dest.open("wb") as out,
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packed,
        ):
            hashed = _Hashed(packed)
            with (
                tarfile.open(fileobj=whole) as there,
                tarfile.open(fileobj=cast(IO[bytes], hashed), mode="w|", format=tarfile.PAX_FORMAT) as layer,
            ):
                for entry in there:
                    if entry.name in ENGINES:
                        continue
                    entry.mtime = min(int(entry.mtime), epoch)
                    # Without fractions of its time, and the names of this machine's users.
                    entry.pax_headers = {
                        key: value for key, value in entry.pax_headers.items() if key != "mtime"
                    }
                    entry.uname = entry.gname = ""
                    layer.addfile(entry, there.extractfile(entry) if entry.isreg() else None)
    return hashed.hexdigest()


def _files(client: docker.DockerClient, tag: str) -> Iterator[bytes]:
    """Yields the archive of all files of an image, in pieces; of a container that never ran."""
    container = client.containers.create(tag, labels={engine.OWNER_LABEL: engine.owner()})
    try:
        # They are bytes, whatever the type stubs say.
        yield from cast(Iterator[bytes], container.export(chunk_size=CHUNK))
    finally:
        container.remove(v=True)
