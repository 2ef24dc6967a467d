# SPDX-License-Identifier: GPL-2.0-or-later
"""A container in which modules are signed: what it knows of the key, and who could take it from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from panicast_build.build import signing
from panicast_build.build.order import Order
from panicast_build.build.signing import ModuleKey
from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.core.run import run
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.kernel import build, ccache, config
from panicast_build.kernel.build import Options, Workshop
from panicast_build.kernel.tree import USER, Wanted
from panicast_build.targets import metadata
from panicast_build.targets.distros import DebDistro
from panicast_build.targets.metadata import Component

PASSPHRASE = "a passphrase that nobody else has"


@pytest.fixture
def pem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key with a passphrase, and its certificate."""
    tools.need("openssl")
    monkeypatch.setenv(signing.PIN, PASSPHRASE)
    key, certificate, both = (tmp_path / name for name in ("key", "certificate", "both.pem"))
    made = ["-new", "-x509", "-newkey", "rsa:2048", "-passout", f"env:{signing.PIN}", "-subj", "/CN=test/"]
    run(["openssl", "req", *made, "-keyout", key, "-out", certificate])
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@pytest.fixture
def key(pem: Path) -> ModuleKey:
    key = signing.load(str(pem))
    assert key
    return key


@pytest.fixture
def workshop(
    client: docker.DockerClient,
    first_distro: DebDistro,
    key: ModuleKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Workshop]:
    """The container of a build whose modules are signed, where ccache's server is set."""
    monkeypatch.setenv(ccache.SETTING, "http://127.0.0.1:9/")
    image = images.build(client, first_distro, "kernel-deb")
    options = Options(Wanted(config.get("smoke"), key=key), jobs=1, cache=tmp_path / "cache")
    with (
        (tmp_path / "log").open("w") as log,
        build.workshop(client, image, options, log, online=True) as made,
    ):
        yield made


def test_only_who_has_the_passphrase_opens_a_key(pem: Path, key: ModuleKey, monkeypatch) -> None:
    assert b"ENCRYPTED" in pem.read_bytes() and b"ENCRYPTED" not in key.pem and b"CERTIFICATE" in key.pem
    monkeypatch.setenv(signing.PIN, "another")
    with pytest.raises(UserError, match="is not the passphrase"):
        signing.load(str(pem))
    monkeypatch.delenv(signing.PIN)
    with pytest.raises(UserError, match="has a passphrase"):
        signing.load(str(pem))


@pytest.fixture
def modules_box(client: docker.DockerClient, first_distro: DebDistro, key: ModuleKey) -> Iterator[Container]:
    """The container in which ./inv modules signs."""
    component = Component("kmod", "panicast-modules-1", ("deb",))
    order = Order(client, metadata.load(), component, key=key)
    with order.container(images.build(client, first_distro, "kernel-deb"), {}) as box:
        yield box


@pytest.fixture(params=["kernel", "modules"])
def box(request: pytest.FixtureRequest) -> Container:
    """Each container in which something is signed."""
    if request.param == "modules":
        found: Container = request.getfixturevalue("modules_box")
        return found
    workshop: Workshop = request.getfixturevalue("workshop")
    return workshop.box


def test_the_key_is_in_memory_only_and_the_passphrase_nowhere(
    client: docker.DockerClient, box: Container, key: ModuleKey
) -> None:
    key.give(box, USER)
    assert box.run(["cat", key.path], user=USER).output.encode() == key.pem
    assert box.run(["stat", "--format=%a", key.path]).output == "600\n"
    assert box.run(["stat", "--file-system", "--format=%T", key.path]).output == "tmpfs\n"
    # What the engine keeps on a disk: what it was told, and what was written.
    stated = client.api.inspect_container(str(box._container.id))
    assert PASSPHRASE not in str(stated) and signing.PIN not in str(stated)
    assert key.path not in {change["Path"] for change in client.api.diff(str(box._container.id))}


def test_nothing_of_it_can_leave_by_a_network(client: docker.DockerClient, box: Container) -> None:
    stated = client.api.inspect_container(str(box._container.id))
    assert stated["HostConfig"]["NetworkMode"] == "none"
    assert box.run(["ls", "/sys/class/net"]).output.split() == ["lo"]


def test_no_compiler_is_sent_to_a_server_of_results(workshop: Workshop) -> None:
    assert not {name for name in workshop.environment if "STORAGE" in name}
