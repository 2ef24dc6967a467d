# SPDX-License-Identifier: GPL-2.0-or-later
"""The receiver's container image, as ./inv image leaves it for other machines: it hears, keeps and shows a
record as an ordinary user who may write nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from panicast_build.build import dist, image
from panicast_build.core.paths import dist_dir, image_target
from panicast_build.engine import engine
from panicast_build.targets import metadata
from panicast_build.targets.distros import DebDistro, Distro

from ..waiting import wait_until

VECTORS = json.loads((Path(__file__).parents[1] / "wire/vectors.json").read_text())
BIG = next(vector for vector in VECTORS if vector["name"] == "panic of many frames")
SENDER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for frame in sys.argv[2:]:
        sock.sendto(bytes.fromhex(frame), (sys.argv[1], 6664))
"""
READER = """
import sys, urllib.request
asked = urllib.request.Request(sys.argv[1], headers={"Authorization": f"Bearer {sys.argv[2]}"})
print(urllib.request.urlopen(asked).read().decode())
"""
SECOND_NS = 10**9
STATE = "/var/lib/panicast"


@pytest.fixture(scope="module")
def folder(first_distro: DebDistro, packaged: Callable[[Distro], Path]) -> Path:
    """Where ./inv image has put the image and the compose project."""
    packaged(first_distro)
    image.run(first_distro.name)
    return dist_dir(image_target(first_distro.name))


@pytest.fixture(scope="module")
def loaded(client: docker.DockerClient, folder: Path) -> Iterator[str]:
    """The id of the image, which an engine has read from its archive."""
    (archive,) = folder.glob("*.oci.tar")
    with archive.open("rb") as data:
        (made,) = client.images.load(data)
    assert made.tags == [image.name(metadata.load())]
    yield str(made.id)
    client.images.remove(str(made.id), force=True)


class Project:
    """Containers of the image on a network and with records of their own, with compose's settings."""

    def __init__(self, client: docker.DockerClient, loaded: str, folder: Path, stack: ExitStack) -> None:
        self._client, self._image, self._stack = client, loaded, stack
        # Ours, and not another run's.
        self._network = client.networks.create(f"panicast-test-{os.getpid()}", internal=True)
        stack.callback(self._network.remove)
        records = client.volumes.create()
        stack.callback(records.remove)
        settings = folder / "receiver.toml"
        self._volumes = [f"{records.name}:{STATE}", f"{settings}:/etc/panicast/receiver.toml:ro"]

    def start(self, name: str, *command: str) -> Container:
        """A container that others reach by its name; its health is looked at each second."""
        container = self._client.containers.create(
            self._image,
            list(command),
            name=f"panicast-test-{os.getpid()}-{name}",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            volumes=self._volumes,
            healthcheck={"test": ["CMD", "panicast-receiver", "health", name], "interval": SECOND_NS},
            labels={engine.OWNER_LABEL: engine.owner()},
            network_mode="none",
        )
        self._stack.callback(container.remove, force=True, v=True)
        self._client.networks.get("none").disconnect(container)
        self._network.connect(container, aliases=[name])
        container.start()
        return container


@pytest.fixture
def project(client: docker.DockerClient, loaded: str, folder: Path) -> Iterator[Project]:
    with ExitStack() as stack:
        yield Project(client, loaded, folder, stack)


def said(container: Container, *argv: str) -> str:
    """What a command in a container prints."""
    code, output = container.exec_run(list(argv))
    assert code == 0, output.decode()
    return str(output.decode())


def found(container: Container, *conditions: str) -> list[str]:
    """The files that an ordinary user finds in a container."""
    _, output = container.exec_run(["find", "/", "-xdev", *conditions], stderr=False)
    return str(output.decode()).split()


def health(container: Container) -> str:
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])


def test_a_record_comes_in_and_is_shown(project: Project) -> None:
    receiver = project.start("serve")
    wait_until(lambda: health(receiver) == "healthy", "the receiver is healthy")
    token = said(receiver, "panicast-receiver", "token", "add", "prometheus").strip()
    web = project.start("web", "web")
    wait_until(lambda: health(web) == "healthy", "the page is healthy")

    said(web, "python3", "-c", SENDER, "serve", *BIG["frames"])
    wait_until(
        lambda: json.loads(said(receiver, "panicast-receiver", "list", "--json")), "the record is stored"
    )
    (record,) = json.loads(said(receiver, "panicast-receiver", "list", "--json"))
    assert record["type"] == "panic" and record["complete"]

    def page(path: str) -> str:
        return said(receiver, "python3", "-c", READER, f"http://web:6680{path}", token)

    assert page("/healthz").strip() == "ok"
    assert record["id"] in page("/api/v1/records")
    wait_until(lambda: "panicast_receiver_up 1.0" in page("/metrics"), "the metrics say that it runs")
    refused = receiver.exec_run(["python3", "-c", READER, "http://web:6680/metrics", "x"])
    assert refused[0] and b"401" in refused[1]
    # As Ctrl-C and `docker stop` end it: nothing is killed.
    receiver.stop(timeout=60)
    assert receiver.wait()["StatusCode"] == 0


def test_nobody_in_it_is_root_and_nothing_but_the_records_can_be_written(project: Project) -> None:
    receiver = project.start("serve")
    status = said(receiver, "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["6664"] * 4 and fields["Gid"].split() == ["6664"] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    # Nothing but the records is open to him, or his.
    assert found(receiver, "-writable", "-not", "-type", "l") == [STATE]
    assert found(receiver, "-user", "panicast") == [STATE]
    for place in ("/etc", "/tmp", "/usr/lib/python3/dist-packages/panicast_receiver"):
        code, output = receiver.exec_run(["touch", f"{place}/x"])
        assert code and b"Read-only" in output


@pytest.mark.nightly
def test_built_twice_it_is_the_same_bytes(
    client: docker.DockerClient, first_distro: DebDistro, folder: Path, tmp_path: Path
) -> None:
    """Also where nothing of the first build is left."""

    def made() -> set[str]:
        found = client.images.list(filters={"reference": "panicast/receiver"})
        return {str(one.id) for one in found for tag in one.tags if f":{first_distro.name}-" in tag}

    before = made()
    for number in before:
        client.images.remove(number, force=True)
    with (tmp_path / "log").open("w") as log:
        image.Build(client, metadata.load(), first_distro).run(tmp_path, log)
    assert made() and not made() & before
    (first,), (second,) = folder.glob("*.oci.tar"), tmp_path.glob("*.oci.tar")
    assert dist.sha256(first) == dist.sha256(second)
