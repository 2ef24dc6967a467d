# SPDX-License-Identifier: GPL-2.0-or-later
"""A publication with the module's own packages, beside the distribution's real archive on a stock machine: it
changes nothing but what is ours."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.repository import task
from panicast_build.repository.key import Key
from panicast_build.targets.distros import DebDistro, Distro

from ...conftest import FLAVOUR
from .conftest import OURS

SERVED = "/srv/panicast"
# What apt says that it would install: the package, and its version.
WOULD = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", re.MULTILINE)


@pytest.fixture
def published(
    distro: DebDistro,
    packaged: Callable[[Distro], Path],
    prebuilt: Callable[[Distro], Path],
    keys: dict[str, Key],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """What ./inv repo publishes of all that tests have built, a kernel too if there is one."""
    made, out = tmp_path / "dist", tmp_path / "repo"
    built, modules = packaged(distro), prebuilt(distro)
    shutil.copytree(built, made / distro.name, ignore=shutil.ignore_patterns("modules"))
    shutil.copytree(modules, made / paths.modules_target(distro.name))
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", made)
    task.run(OURS, distro.name, str(out), f"file:{SERVED}")
    return out / "current"


@pytest.fixture
def stock(client: docker.DockerClient, distro: DebDistro) -> Iterator[Container]:
    """The distribution's base system, whose apt knows the distribution's archive."""
    with Container(client, images.base(client, distro), network="host") as box:
        box.run(["apt-get", "update"])
        yield box


def would(box: Container, *arguments: str) -> dict[str, str]:
    return dict(WOULD.findall(box.run(["apt-get", "--simulate", *arguments]).output))


def test_a_stock_machine_gets_nothing_but_ours(stock: Container, published: Path, distro: DebDistro) -> None:
    asked = [("upgrade",), ("dist-upgrade",), ("install", distro.kernel_image)]
    before = [would(stock, *arguments) for arguments in asked]
    assert any(name.startswith("linux-image-") for name in before[-1])

    stock.run(["mkdir", "-p", SERVED])
    stock.put(published, SERVED)
    (keyring,) = published.rglob("panicast-archive-keyring_*.deb")
    stock.put(keyring, "/root")
    stock.run(["dpkg", "--install", f"/root/{keyring.name}"])
    stock.run(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"])
    assert "Candidate: (none)" not in stock.run(["apt-cache", "policy", "panicast-dkms"]).output
    assert [would(stock, *arguments) for arguments in asked] == before

    newest = f"panicast-modules-{FLAVOUR}"
    with_module = would(stock, *asked[-1], newest)
    assert before[-1].items() <= with_module.items()
    (kernel,) = (name for name in before[-1] if re.match(r"linux-image-\d", name))
    ours = {newest, kernel.replace("linux-image", "panicast-modules"), "panicast-common"}
    assert with_module.keys() - before[-1].keys() == ours
