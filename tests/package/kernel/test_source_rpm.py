# SPDX-License-Identifier: GPL-2.0-or-later
"""A distro's own kernel source package takes our patch in the file that its spec keeps for one.

Where no mirror of an RPM distro answers, one that is made here stands in for it: kernel.spec has the same
hook, and Debian's kernel source what the patch changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from panicast_build.core.errors import BuildError, UserError
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.kernel import config, rpm, source
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import Wanted
from panicast_build.targets import distros, metadata

SPEC = Path(__file__).with_name("kernel.spec")
HOOK = "linux-kernel-test.patch"
VERSION = "6.1.192"
TARGET = "el9"
# What the patch touches, and what `make kernelversion` reads: the patch is chosen by the version.
TOUCHED = ("include/linux/printk.h", "init/Kconfig", "kernel/printk", "Makefile", "scripts", "arch/x86")


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    return images.build(client, distros.get(rpm.DEBIAN_HOST), "kernel-rpm-debian")


@pytest.fixture(scope="module")
def touched(client: docker.DockerClient, image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tarball of what the patch touches in Debian 12's kernel source."""
    debian = distros.of_family(distros.DebDistro)["debian-12"]
    newest = source.newest(client, images.build(client, debian, "kernel-deb"), debian)
    folder = tmp_path_factory.mktemp("source")
    with Container(client, image) as box:
        box.run(["mkdir", "/in", f"/linux-{VERSION}"])
        box.put(newest.files[0], "/in")
        box.run(["dpkg-deb", "--extract", f"/in/{newest.files[0].name}", "/in"])
        (tarball,) = box.run(["find", "/in", "-name", source.TARBALL]).output.split()
        wanted = [f"linux-source-6.1/{name}" for name in TOUCHED]
        unpack = ["tar", "-xf", tarball, "-C", f"/linux-{VERSION}", "--strip-components=1"]
        box.run([*unpack, *wanted])
        box.run(["tar", "-czf", f"/linux-{VERSION}.tar.gz", f"linux-{VERSION}"])
        box.get(f"/linux-{VERSION}.tar.gz", folder)
    return folder / f"linux-{VERSION}.tar.gz"


@pytest.fixture
def made(client: docker.DockerClient, image: str, touched: Path, tmp_path: Path) -> Callable[..., Path]:
    """Called with what to replace in the spec: the source RPM."""

    def made(said: str = "", instead: str = "", hook: str = HOOK) -> Path:
        spec = SPEC.read_text().replace(said, instead).replace(HOOK, hook)
        with Container(client, image) as box:
            box.run(["mkdir", "-p", "/build/SOURCES", "/build/SPECS"])
            box.write({touched.name: touched, hook: b""}, "/build/SOURCES")
            box.write({"kernel.spec": spec.encode()}, "/build/SPECS")
            build = ["rpmbuild", "-bs", "--nodeps", "--define", "_topdir /build"]
            box.run([*build, "/build/SPECS/kernel.spec"])
            (path,) = box.run(["find", "/build/SRPMS", "-name", source.SRPM]).output.split()
            box.get(path, tmp_path)
        return tmp_path / Path(path).name

    return made


def run(client: docker.DockerClient, srpm: Path, into: Path) -> list[Path]:
    """Builds a source RPM; the RPMs that come of it."""
    # What is built here is no whole kernel.
    small = replace(config.get("distro"), gib=1)
    build = rpm.make(
        client, metadata.load(), distros.get(TARGET), Options(Wanted(small), source=str(srpm), cached=False)
    )
    with (into / "log").open("w") as log:
        build.run(into, log)
    return sorted(into.glob("*.rpm"))


def test_the_patch_is_in_the_packages_and_in_their_source(
    client: docker.DockerClient, image: str, made: Callable[..., Path], tmp_path: Path
) -> None:
    into = tmp_path / "out"
    into.mkdir()
    rpms = run(client, made(), into)
    names = [path.name for path in rpms]
    assert names == [
        f"kernel-{VERSION}-1.panicast.el9.src.rpm",
        f"kernel-core-{VERSION}-1.panicast.el9.x86_64.rpm",
    ]
    with Container(client, image) as box:
        box.write({path.name: path for path in rpms}, "/srv")
        for path in rpms:
            box.run(["sh", "-c", f"cd /srv && rpm2cpio {path.name} | cpio --quiet -id"])
        header = box.run(["find", "/srv/lib", "-name", "printk.h"]).output.strip()
        assert b"int kernel_log_buffer(char *buf, int max_len);" in box.read(header)
        assert b"Description: printk: add kernel_log_buffer()" in box.read(f"/srv/{HOOK}")


def test_a_spec_without_the_hook_is_refused(
    client: docker.DockerClient, made: Callable[..., Path], tmp_path: Path
) -> None:
    into = tmp_path / "out"
    into.mkdir()
    with pytest.raises(BuildError, match=rf"has no {HOOK} for the patch"):
        run(client, made(hook="other.patch"), into)


def test_what_cannot_be_built_is_said_before_anything_is(client: docker.DockerClient, tmp_path: Path) -> None:
    tarball = tmp_path / "linux-6.12.tar.xz"
    tarball.touch()
    for target, name, given in (
        (TARGET, "distro", str(tarball)),
        ("opensuse-leap", "smoke", ""),
        (TARGET, "smoke", str(tmp_path / "kernel-6.12-1.src.rpm")),
    ):
        (tmp_path / "kernel-6.12-1.src.rpm").touch()
        with pytest.raises(UserError):
            options = Options(Wanted(config.get(name)), source=given)
            rpm.make(client, metadata.load(), distros.get(target), options)
