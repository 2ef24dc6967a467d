# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages with the module itself on servers without a compiler; from panicast-dkms to them, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from panicast_build.build import package, reproduce
from panicast_build.engine import images
from panicast_build.modules import task
from panicast_build.targets import metadata
from panicast_build.targets.distros import DebDistro, Distro

from ..conftest import FLAVOUR, ON_THE_FIRST
from .conftest import Machine

VERSION = metadata.load().version
DKMS, COMMON, NEWEST = "panicast-dkms", "panicast-common", f"panicast-modules-{FLAVOUR}"
CONFIG, KEY, SYSCTLS = (
    "/etc/modprobe.d/panicast.conf",
    "/etc/panicast/key",
    "/etc/sysctl.d/90-panicast.conf",
)
COMPILING = {"gcc", "make", "dkms", "linux-headers-amd64"}
LISTED = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\\n"]


@pytest.fixture
def server(
    client: docker.DockerClient,
    distro: DebDistro,
    packaged: Callable[[Distro], Path],
    prebuilt: Callable[[Distro], Path],
    compiled: dict[str, Any],
) -> Iterator[Machine]:
    """A machine with the distro's kernel, whose apt knows all packages of ours and none of a compiler."""
    arguments = {"KERNEL": distro.kernel_image, "KERNEL_HEADERS": distro.kernel_headers}
    tag = images.build(client, distro, "server-deb", buildargs=arguments)
    with Machine(client, tag, **compiled) as box:
        box.run(["mkdir", "/repo"])
        box.write({"sources.list": b"deb [trusted=yes] file:/repo ./\n"}, "/etc/apt")
        box.add([*packaged(distro).glob("*.deb"), *prebuilt(distro).glob(f"*-{FLAVOUR}_*.deb")])
        yield box


def installed(machine: Machine) -> set[str]:
    lines = machine.run(LISTED).output.splitlines()
    return {line[3:] for line in lines if line.startswith("ii ")}


def kernel(machine: Machine) -> str:
    return machine.run(["ls", "/lib/modules"]).output.strip()


def place(machine: Machine) -> str:
    """Where modprobe finds the module, below the kernel's folder."""
    found = machine.run(["modinfo", "-k", kernel(machine), "-n", "panicast"]).output.strip()
    assert machine.run(["modinfo", "-F", "version", found]).output.strip() == VERSION
    return found.partition(f"/{kernel(machine)}/")[2]


def bring_a_compiler(machine: Machine) -> None:
    machine.run(["sh", "-c", "mv /srv/pool/*.deb /repo"])
    machine.add([])
    # First, so that what DKMS compiles is found in ccache.
    machine.apt("install", "ccache", "gcc", "make")


@ON_THE_FIRST
def test_life(server: Machine) -> None:
    before = server.files()
    server.apt("install", NEWEST)
    assert not installed(server) & COMPILING
    assert place(server) == "updates/panicast/panicast.ko"
    version = server.run(["modinfo", "-k", kernel(server), "-F", "vermagic", "panicast"]).output.split()[0]
    assert version == kernel(server)
    assert server.run(["panicast-ctl", "doctor", "--next"]).output.endswith("which has the module.\n")

    server.run(["touch", "/boot/vmlinuz-99.0-amd64"])
    said = server.run(["panicast-ctl", "doctor", "--next"], check=False)
    assert said.code == 1 and "sudo apt install panicast-modules-99.0-amd64\n" in said.output
    server.run(["rm", "/boot/vmlinuz-99.0-amd64"])

    server.apt("purge", "panicast-modules-*", COMMON)
    assert server.files() - before == set()


@pytest.mark.nightly
def test_other_surroundings_give_the_same_packages(
    client: docker.DockerClient,
    first_distro: DebDistro,
    prebuilt: Callable[[Distro], Path],
    tmp_path: Path,
) -> None:
    usual = prebuilt(first_distro)
    (order,) = task.orders_for(client, metadata.load(), first_distro, [FLAVOUR], None).values()
    with (tmp_path / "log").open("w") as log:
        (tmp_path / "made").mkdir()
        package.builder(replace(order, around=reproduce.OTHER), first_distro).run(tmp_path / "made", log)
    names = reproduce.compared(tmp_path / "made")
    assert {Path(name).suffix for name in names} == {".deb", ".dsc", ".gz", ".xz"}
    differ = [
        name for name in names if (usual / name).read_bytes() != (tmp_path / "made" / name).read_bytes()
    ]
    assert not differ


def settings(machine: Machine) -> dict[str, bytes]:
    """What an administrator has set, by file."""
    machine.write({"panicast.conf": machine.read(CONFIG) + b"# edited\n"}, "/etc/modprobe.d")
    machine.run(["sh", "-c", f"echo '7 {'0123456789abcdef' * 4}' | panicast-ctl key"])
    # A container of Debian 13 has no such folder.
    machine.run(["mkdir", "-p", "/etc/sysctl.d"])
    machine.write({Path(SYSCTLS).name: b"# by panicast-ctl\n"}, "/etc/sysctl.d")
    return {path: machine.read(path) for path in (CONFIG, KEY, SYSCTLS)}


def assert_kept(machine: Machine, kept: dict[str, bytes]) -> None:
    for path, text in kept.items():
        assert machine.read(path) == text, path
    assert machine.run(["dpkg", "--audit"]).output == ""


@ON_THE_FIRST
def test_from_one_to_the_other_and_back(server: Machine) -> None:
    server.apt("install", NEWEST)
    kept = settings(server)
    bring_a_compiler(server)
    server.apt("install", DKMS, f"linux-headers-{FLAVOUR}")
    assert not {name for name in installed(server) if name.startswith("panicast-modules")}
    assert place(server).startswith("updates/dkms/panicast.ko")
    assert_kept(server, kept)

    server.apt("install", NEWEST)
    assert DKMS not in installed(server)
    assert place(server) == "updates/panicast/panicast.ko"
    server.apt("purge", DKMS)
    assert_kept(server, kept)
    assert [path for path in server.modules() if "/dkms/" in path] == []


# What panicast-dkms was before panicast-common: one package with all of both, whose purge takes the settings.
AS_ONE = """
cd /root
for name in common dkms; do dpkg-deb -R /repo/panicast-$name\\_*.deb $name; done
cp -a common/. one
cp -a dkms/usr one
cp common/DEBIAN/conffiles one/DEBIAN
sed -e 's/^Version: .*/Version: 0.0.9/' -e '/^Depends: /s/panicast-common ([^)]*)/kmod/' \\
    -e '/^Conflicts/d; /^Replaces/d' dkms/DEBIAN/control > one/DEBIAN/control
mv one/usr/src/panicast-* one/usr/src/panicast-0.0.9
for script in prerm postrm; do
    { cat dkms/DEBIAN/$script; sed 1d common/DEBIAN/$script; } > one/DEBIAN/$script
done
printf '#!/bin/sh\\n' > one/DEBIAN/postinst
rm -f one/DEBIAN/md5sums
dpkg-deb -b one old.deb
"""


@ON_THE_FIRST
@pytest.mark.parametrize("package", [DKMS, NEWEST])
def test_upgrade_from_when_it_was_one_package(package: str, server: Machine) -> None:
    bring_a_compiler(server)
    server.run(["sh", "-ec", AS_ONE])
    server.apt("install", "dkms", "/root/old.deb")
    assert COMMON not in installed(server)
    kept = settings(server)
    del kept[SYSCTLS]
    server.apt("install", package, f"linux-headers-{FLAVOUR}")
    assert {COMMON, package} <= installed(server)
    assert place(server).startswith("updates/dkms/" if package == DKMS else "updates/panicast/")
    assert_kept(server, kept)
    owner = server.run(["dpkg-query", "-S", CONFIG]).output
    assert owner == f"{COMMON}: {CONFIG}\n" or package == NEWEST, owner
    assert server.run(["test", "-e", f"{CONFIG}.dpkg-dist"], check=False).code == 1
