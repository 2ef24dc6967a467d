# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository that ./inv repo published, and fresh machines that are served it on their loopback."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from panicast_build.build import rpmroot
from panicast_build.core import tools
from panicast_build.core.run import run
from panicast_build.engine.container import Container
from panicast_build.repository import key, task
from panicast_build.repository.key import Key
from panicast_build.targets.distros import DebDistro, Distro, get

URL = "http://127.0.0.1:8000"
OURS, THEIRS = "archive@example.org", "stranger@example.org"
DEB, RPM, SUSE = "debian-12", "el9", "opensuse-leap"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Key]]:
    """Two keys in a GnuPG keyring of the tests: the archive's, and somebody else's."""
    tools.need("gpg", "rpmsign", "createrepo_c", "apt-ftparchive")
    # Short: a socket's path must fit into 108 bytes.
    home = tmp_path_factory.mktemp("gpg", numbered=True)
    home.chmod(0o700)
    before, os.environ["GNUPGHOME"] = os.environ.get("GNUPGHOME"), str(home)
    for name in (OURS, THEIRS):
        run(["gpg", "--batch", "--passphrase", "", "--quick-generate-key", name, "rsa2048", "sign", "1y"])
    yield {name: key.find(name) for name in (OURS, THEIRS)}
    run(["gpgconf", "--kill", "all"])
    os.environ.pop("GNUPGHOME")
    if before is not None:
        os.environ["GNUPGHOME"] = before


@pytest.fixture(scope="session")
def repository(
    keys: dict[str, Key], packaged: Callable[[Distro], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What was published, signed with the archive's key."""
    for name in (DEB, RPM, SUSE):
        packaged(get(name))
    out = tmp_path_factory.mktemp("repo")
    task.run(OURS, f"{DEB},{RPM},{SUSE}", str(out), URL)
    return out


def refuses_untrusted(
    machine: Any,
    copy: Path,
    target: str,
    stranger: Key,
    install: Callable[[Any], tuple[bool, str]],
    *words: str,
) -> None:
    """A client installs nothing, and says these words, first by an index that a stranger has signed, and then
    by one that nobody has."""
    index = copy / "current/rpm" / target / "repodata/repomd.xml"
    signature = index.with_name("repomd.xml.asc")
    changes = (lambda: stranger.detached(index, signature), signature.unlink)
    for change, word in zip(changes, words, strict=True):
        change()
        machine.serve(copy)
        installed, said = install(machine)
        assert not installed and word in said, said


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """The repository, for a test to spoil."""
    shutil.copytree(repository, tmp_path / "repo", symlinks=True)
    return tmp_path / "repo"


@pytest.fixture
def expired(keys: dict[str, Key], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Key]:
    """The archive's key as it will be when it has expired."""
    home = tmp_path / "g"
    shutil.copytree(os.environ["GNUPGHOME"], home, ignore=shutil.ignore_patterns("S.*", "*.lock", ".#*"))
    home.chmod(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    run(["gpg", "--batch", "--quick-set-expire", keys[OURS].fingerprint, "seconds=1"])
    time.sleep(2)
    yield keys[OURS]
    run(["gpgconf", "--kill", "all"])


class Client(Container):
    """A machine that is served a repository."""

    def serve(self, folder: Path) -> None:
        """Puts a published folder, its links too, where the web server finds it; starts that once."""
        self.run(["rm", "-rf", "/srv/www"])
        self.run(["mkdir", "-p", "/srv/www"])
        for snapshot in (folder / "snapshots").iterdir():
            self.run(["mkdir", "-p", f"/srv/www/snapshots/{snapshot.name}"])
            self.put(snapshot, f"/srv/www/snapshots/{snapshot.name}")
        for entry in folder.iterdir():
            if entry.is_symlink():
                self.run(["ln", "-s", str(entry.readlink()), f"/srv/www/{entry.name}"])
        ready = "import socket; socket.create_connection(('127.0.0.1', 8000), 5)"
        answers = f'python3 -c "{ready}" 2>/dev/null'
        server = "python3 -m http.server -b 127.0.0.1 8000 -d /srv/www >/srv/log 2>&1"
        wait = f"until {answers}; do kill -0 $! || exit 1; sleep 0.2; done"
        self.run(["sh", "-c", f"{answers} || {{ {server} & {wait}; }}"])


@pytest.fixture
def apt(
    client: docker.DockerClient,
    test_image: Callable[[DebDistro], str],
    repository: Path,
    compiled: dict[str, Any],
) -> Iterator[Client]:
    """A Debian machine with panicast-archive-keyring, installed by hand."""
    distro = get(DEB)
    assert isinstance(distro, DebDistro)
    with Client(client, test_image(distro), **compiled) as box:
        box.serve(repository)
        (deb,) = (repository / "deb/pool/bookworm").glob("panicast-archive-keyring_*.deb")
        box.put(deb, "/root")
        box.run(["dpkg", "-i", f"/root/{deb.name}"])
        yield box


@contextmanager
def machine(
    client: docker.DockerClient, repository: Path, compiled: dict[str, Any], name: str, distro: str
) -> Iterator[Client]:
    """A machine with a package manager of RPMs and panicast-release, installed by hand."""
    manager = rpmroot.MANAGERS[name]
    with Client(client, rpmroot.image(client, manager.root), **compiled) as box:
        box.serve(repository)
        box.run(["mkdir", "-p", manager.repositories])
        stubs = manager.configuration({"stubs": rpmroot.STUBS})
        box.write({"stubs.repo": stubs}, manager.repositories)
        (rpm,) = (repository / "rpm" / distro).glob("panicast-release-*.noarch.rpm")
        box.put(rpm, "/root")
        box.run(["rpm", "-i", f"/root/{rpm.name}"])
        yield box


@pytest.fixture
def dnf(client: docker.DockerClient, repository: Path, compiled: dict[str, Any]) -> Iterator[Client]:
    with machine(client, repository, compiled, "dnf", RPM) as box:
        yield box


@pytest.fixture
def zypper(client: docker.DockerClient, repository: Path, compiled: dict[str, Any]) -> Iterator[Client]:
    with machine(client, repository, compiled, "zypper", SUSE) as box:
        yield box
