# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv branches: what it commits is what the source packages have; git-buildpackage makes those of it, COPR
a source RPM, and Packit is told right."""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import docker
import pytest
from ruamel.yaml import YAML

from panicast_build.build import branches, rpm, source
from panicast_build.core import tools
from panicast_build.core.run import Result, run
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro

from .conftest import Inv

DEB, RPM = "debian-12", "el9"
VERSION = metadata.load().version
PACKAGES = ("panicast-dkms", "panicast-receiver")
# What salsa's pipeline runs before it builds; dpkg-source then makes the source package of what is exported.
GBP = (
    "pull --ignore-branch --pristine-tar --track-missing",
    "export-orig --tarball-dir={out}",
    "buildpackage --git-ignore-branch --git-no-create-orig --git-export-dir={out} --no-check-builddeps"
    " --git-builder=true --git-no-pbuilder --git-no-hooks --git-no-purge",
)


@pytest.fixture(scope="module")
def tree(
    tmp_path_factory: pytest.TempPathFactory, copy_tree: Callable[..., None], inv: Inv
) -> tuple[Path, Callable[[], Result]]:
    """A copy of the tree, committed when HEAD was, in which ./inv branches ran; and that once more."""
    root = tmp_path_factory.mktemp("branches")
    copy_tree(root, date=f"@{source.epoch()} +0000")

    def made() -> Result:
        return inv(root, "branches", "--distro", f"{DEB},{RPM}")

    assert made().code == 0
    return root, made


def unpacked(root: Path, branch: str, into: Path) -> dict[str, bytes]:
    """The files of a branch, which are also written to a folder."""
    into.mkdir()
    run(["git", "-C", root, "--work-tree", into, "checkout", branch, "--", "."])
    return {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}


def contents(archives: Iterable[Path], package: str) -> dict[str, bytes]:
    """The files in a source package's archives, by path."""
    found = {}
    for path in archives:
        with tarfile.open(path) as tar:
            for member in filter(tarfile.TarInfo.isfile, tar.getmembers()):
                file = tar.extractfile(member)
                assert file is not None
                found[member.name.removeprefix(f"{package}-{VERSION}/")] = file.read()
    return found


def test_a_branch_is_the_source_package(
    tree: tuple[Path, Callable[[], Result]], packaged: Callable[[Distro], Path], tmp_path: Path
) -> None:
    root, made = tree
    commit = run(["git", "-C", root, "rev-parse", branches.name(DEB, "panicast-dkms")]).output
    again = made()
    assert again.code == 0 and again.output.count("as before") == again.output.count(": ")
    assert run(["git", "-C", root, "rev-parse", branches.name(DEB, "panicast-dkms")]).output == commit

    built = packaged(distros.get(DEB))
    for package in PACKAGES:
        wanted = contents(built.glob(f"{package}_{VERSION}*.tar.*"), package)
        assert unpacked(root, branches.name(DEB, package), tmp_path / package) == wanted


@pytest.mark.parametrize("package", PACKAGES)
def test_gbp_makes_the_source_package_as_on_salsa(
    package: str, tree: tuple[Path, Callable[[], Result]], packaged: Callable[[Distro], Path], tmp_path: Path
) -> None:
    """The commands of salsa's pipeline in a clone of the branch alone."""
    tools.need("git", "gbp", "dpkg-source")
    root, _ = tree
    clone, out = tmp_path / "clone", tmp_path / "out"
    out.mkdir()
    branch = branches.name(DEB, package)
    run(["git", "clone", "--quiet", "--single-branch", "--branch", branch, root, clone])
    env = {"HOME": str(tmp_path)}
    for command in GBP:
        run(["gbp", *shlex.split(command.format(out=out))], cwd=clone, env=env)
    run(["dpkg-source", "--build", f"{package}-{VERSION}"], cwd=out, env=env)
    names = [f"{package}_{VERSION}.orig.tar.gz", f"{package}_{VERSION}-*.debian.tar.xz"]
    for name in names:
        (ours,), (theirs,) = packaged(distros.get(DEB)).glob(name), out.glob(name)
        assert contents([theirs], package) == contents([ours], package) != {}


@pytest.fixture
def clone(
    tree: tuple[Path, Callable[[], Result]], client: docker.DockerClient, tmp_path: Path
) -> Iterator[Container]:
    """A machine that makes RPMs, with the receiver's branch in /clone."""
    root, _ = tree
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
