# SPDX-License-Identifier: GPL-2.0-or-later
"""A published Debian kernel has metapackages and its source beside it, which makes the same tree again.

Of Debian's kernel there is here what the patch changes, with a Makefile that configures it in no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from debian.deb822 import Deb822

from panicast_build.build.signing import ModuleKey
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.kernel import build, config, deb, source
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import BUILD, TREE, USER, Wanted
from panicast_build.targets import distros, metadata

# With a key the module is part of the kernel. Nothing is signed here.
KEY = ModuleKey(b"no key at all", b"no certificate", "fingerprint")
AGAIN = f"{BUILD}/again"
VERSION, RELEASE = "6.1.192", "6.1.192-panicast-smoke"
TAKEN = ("include/linux/printk.h", "init/Kconfig", "kernel/printk", "drivers/net/Makefile", "scripts/package")
MAKEFILE = f"""
kernelversion:
	@echo {VERSION}
kernelrelease:
	@echo {RELEASE}
tinyconfig olddefconfig:
	touch .config
"""
# What it is told to merge, it takes.
MERGE = '#!/bin/sh\nshift 2; cat "$@" >> .config\n'


@pytest.fixture(scope="module")
def tarball(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of a small kernel."""
    debian = distros.of_family(distros.DebDistro)["debian-12"]
    image = images.build(client, debian, "kernel-deb")
    newest = source.newest(client, image, debian)
    folder, top = tmp_path_factory.mktemp("source"), f"/linux-{VERSION}"
    with Container(client, image) as box:
        box.run(["mkdir", "-p", "/in", f"{top}/scripts/kconfig"])
        box.put(newest.files[0], "/in")
        box.run(["dpkg-deb", "--extract", f"/in/{newest.files[0].name}", "/in"])
        (packed,) = box.run(["find", "/in", "-name", source.TARBALL]).output.split()
        taken = [f"linux-source-6.1/{name}" for name in TAKEN]
        box.run(["tar", "-xf", packed, "-C", top, "--strip-components=1", *taken])
        box.write({"Makefile": MAKEFILE.encode()}, top)
        box.write({"merge_config.sh": MERGE.encode()}, f"{top}/scripts/kconfig")
        box.run(["chmod", "755", f"{top}/scripts/kconfig/merge_config.sh"])
        box.run(["tar", "-czf", f"{top}.tar.gz", f"linux-{VERSION}"])
        box.get(f"{top}.tar.gz", folder)
    return folder / f"linux-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def box(
    client: docker.DockerClient, tarball: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """Where the source of a kernel was packed that is not yet compiled."""
    debian = distros.of_family(distros.DebDistro)["debian-12"]
    small = replace(config.get("smoke"), published=True)
    options = Options(Wanted(small, key=KEY), source=str(tarball), jobs=1, cached=False)
    made = deb.Build(client, metadata.load(), debian, options)
    with (
        (tmp_path_factory.mktemp("source") / "log").open("w") as log,
        build.workshop(client, made.image, options, log) as (box, _, _),
    ):
        made.add_source(box, made.prepare(box, log), log)
        yield box


def built(box: Container, pattern: str) -> str:
    (path,) = box.run(["find", BUILD, "-maxdepth", "1", "-name", pattern]).output.split()
    return path


def test_the_source_package_makes_the_tree_that_is_compiled(box: Container) -> None:
    box.run(["dpkg-source", "--no-check", "-x", built(box, "*.dsc"), AGAIN], user=USER, cwd=BUILD)
    box.run(["make", "-f", "debian/rules", "prepare"], user=USER, cwd=AGAIN)
    # Debian's own rules for packages are reworded in the tree that the pipeline has.
    compared = ["diff", "--recursive", "--brief", "--exclude=mkdebian", f"{AGAIN}/linux", TREE]
    assert box.run(compared, check=False).output == ""
    assert b"kernel_log_buffer" in box.read(f"{AGAIN}/linux/include/linux/printk.h")
    assert b"kmsg_dump" in box.read(f"{AGAIN}/linux/drivers/net/panicast/panic.c")
    assert box.read(f"{AGAIN}/linux/.config") == box.read(f"{TREE}/.config") != b""


def test_metapackages_lead_to_the_kernel(box: Container) -> None:
    of = Deb822(box.read(built(box, "*.dsc")))
    for kind in ("image", "headers"):
        path = built(box, f"linux-{kind}-panicast-smoke_*_amd64.deb")
        said = Deb822(box.run(["dpkg-deb", "--field", path]).output)
        assert said["Depends"] == f"linux-{kind}-{RELEASE} (= {of['Version']})"
        assert (said["Source"], said["Version"]) == (of["Source"], of["Version"])


def test_the_key_is_not_in_it(box: Container) -> None:
    found = box.run(["grep", "--recursive", "--files-with-matches", KEY.pem.decode(), BUILD], check=False)
    assert (found.code, found.output) == (1, "")
