# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands in for the source package of an RPM distro's kernel: kernel.spec has the same hook, and Debian's
kernel source what the patch changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import docker

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
# What else its sources are.
SOURCES = {
    "kernel-x86_64-rhel.config": b"CONFIG_PRINTK=y\n",
    "0001-distribution.patch": b"--- /dev/null\n+++ b/DISTRIBUTION\n@@ -0,0 +1 @@\n+its own\n",
}
# What the patch touches, and what `make kernelversion` reads: the patch is chosen by the version.
TOUCHED = ("include/linux/printk.h", "init/Kconfig", "kernel/printk", "Makefile", "scripts", "arch/x86")


def target() -> distros.RpmDistro:
    return distros.of_family(distros.RpmDistro)[TARGET]


def image(client: docker.DockerClient) -> str:
    return images.build(client, distros.get(rpm.DEBIAN_HOST), "kernel-rpm-debian")


def tarball(client: docker.DockerClient, folder: Path) -> Path:
    """What the patch touches in Debian 12's kernel source."""
    debian = distros.of_family(distros.DebDistro)["debian-12"]
    newest = source.newest(client, images.build(client, debian, "kernel-deb"), debian)
    with Container(client, image(client)) as box:
        box.run(["mkdir", "/in", f"/linux-{VERSION}"])
        box.put(newest.files[0], "/in")
        box.run(["dpkg-deb", "--extract", f"/in/{newest.files[0].name}", "/in"])
        (packed,) = box.run(["find", "/in", "-name", source.TARBALL]).output.split()
        wanted = [f"linux-source-6.1/{name}" for name in TOUCHED]
        unpack = ["tar", "-xf", packed, "-C", f"/linux-{VERSION}", "--strip-components=1"]
        box.run([*unpack, *wanted])
        box.run(["tar", "-czf", f"/linux-{VERSION}.tar.gz", f"linux-{VERSION}"])
        box.get(f"/linux-{VERSION}.tar.gz", folder)
    return folder / f"linux-{VERSION}.tar.gz"


def packed(
    client: docker.DockerClient, tree: Path, into: Path, spec: str, hook: str = HOOK, stage: str = "-bs"
) -> list[Path]:
    """The RPMs that rpmbuild's stage makes of a spec, without anything of ours: the source package."""
    with Container(client, image(client)) as box:
        box.run(["mkdir", "-p", "/build/SOURCES", "/build/SPECS"])
        box.write({tree.name: tree, hook: b"", **SOURCES}, "/build/SOURCES")
        box.write({"kernel.spec": spec.encode()}, "/build/SPECS")
        defines = {"_topdir": "/build", "dist": target().dist} if stage == "-bb" else {"_topdir": "/build"}
        build = ["rpmbuild", stage, "--nodeps"]
        build += [word for name, body in defines.items() for word in ("--define", f"{name} {body}")]
        box.run([*build, "/build/SPECS/kernel.spec"])
        paths = box.run(["find", "/build/SRPMS", "/build/RPMS", "-name", "*.rpm"]).output.split()
        for path in paths:
            box.get(path, into)
    return [into / Path(path).name for path in paths]


def patched(client: docker.DockerClient, srpm: Path, into: Path) -> list[Path]:
    """The RPMs that ./inv kernel makes of a source RPM."""
    # What is built here is no whole kernel.
    small = replace(config.get("distro"), gib=1)
    build = rpm.make(
        client, metadata.load(), target(), Options(Wanted(small), source=str(srpm), cached=False)
    )
    into.mkdir(exist_ok=True)
    with (into / "log").open("w") as log:
        build.run(into, log)
    return sorted(into.glob("*.rpm"))
