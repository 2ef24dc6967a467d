# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv branches: what it commits is what the source packages have; COPR makes a source RPM of
it, and Packit is told right."""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from ruamel.yaml import YAML

from panicast_build.build import branches, rpm, source
from panicast_build.core.run import Result, run
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro

from .conftest import Inv

DEB, RPM = "debian-12", "el9"
VERSION = metadata.load().version


@pytest.fixture(scope="module")
def tree(
    tmp_path_factory: pytest.TempPathFactory, copy_tree: Callable[..., None], inv: Inv
) -> tuple[Path, Callable[[], Result]]:
    """A copy of the tree, committed when HEAD was; and ./inv branches in it."""
    root = tmp_path_factory.mktemp("branches")
    copy_tree(root, date=f"@{source.epoch()} +0000")
    return root, lambda: inv(root, "branches", "--distro", f"{DEB},{RPM}")


def unpacked(root: Path, branch: str, into: Path) -> dict[str, bytes]:
    """The files of a branch, which are also written to a folder."""
    into.mkdir()
    run(["git", "-C", root, "--work-tree", into, "checkout", branch, "--", "."])
    return {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}


def test_a_branch_is_the_source_package(
    tree: tuple[Path, Callable[[], Result]], packaged: Callable[[Distro], Path], tmp_path: Path
) -> None:
    root, made = tree
    assert made().code == 0
    commit = run(["git", "-C", root, "rev-parse", branches.name(DEB, "panicast-dkms")]).output
    again = made()
    assert again.code == 0 and again.output.count("as before") == again.output.count(": ")
    assert run(["git", "-C", root, "rev-parse", branches.name(DEB, "panicast-dkms")]).output == commit

    built = packaged(distros.get(DEB))
    for package in ("panicast-dkms", "panicast-receiver"):
        wanted = {}
        for path in built.glob(f"{package}_{VERSION}*.tar.*"):
            with tarfile.open(path) as tar:
                for member in filter(tarfile.TarInfo.isfile, tar.getmembers()):
                    file = tar.extractfile(member)
                    assert file is not None
                    wanted[member.name.removeprefix(f"{package}-{VERSION}/")] = file.read()
        assert unpacked(root, branches.name(DEB, package), tmp_path / package) == wanted


@pytest.fixture
def clone(
    tree: tuple[Path, Callable[[], Result]], client: docker.DockerClient, tmp_path: Path
) -> Iterator[Container]:
    """A machine that makes RPMs, with the receiver's branch in /clone."""
    root, made = tree
    assert made().code == 0
    unpacked(root, branches.name(RPM, "panicast-receiver"), tmp_path / "clone")
    host = images.build(client, distros.get(rpm.DEBIAN_HOST), "build-rpm-debian")
    with Container(client, host) as box:
        box.run(["mkdir", "/clone", "/made"])
        box.put(tmp_path / "clone", "/clone")
        yield box


def test_packits_commands_name_the_archive_and_the_version(clone: Container) -> None:
    actions = YAML(typ="safe").load(clone.read("/clone/.packit.yaml"))["actions"]

    def said(action: str) -> str:
        (command,) = actions[action]
        return clone.run(shlex.split(command), cwd="/clone").output.strip()

    assert said("create-archive") == f"panicast-receiver-{VERSION}.tar.gz"
    assert said("get-current-version") == VERSION
    assert said("fix-spec-file") == ""


def test_coprs_command_makes_a_source_rpm(clone: Container) -> None:
    clone.run(["make", "-f", ".copr/Makefile", "srpm", "outdir=/made"], cwd="/clone")
    (path,) = clone.run(["find", "/made", "-name", "*.src.rpm"]).output.split()
    listed = clone.run(["rpm", "-qpl", path]).output.split()
    assert f"panicast-receiver-{VERSION}.tar.gz" in listed and "panicast-receiver.spec" in listed
