# SPDX-License-Identifier: GPL-2.0-or-later
"""A distro's own kernel source package takes our patch in the file that its spec keeps for one, and gets a
name of its own. Where no mirror of an RPM distro answers, one that is made here stands in for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from panicast_build.core.errors import BuildError, UserError
from panicast_build.engine.container import Container
from panicast_build.kernel import config, rpm
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import Wanted
from panicast_build.targets import distros, metadata

from . import stand_in
from .stand_in import HOOK, TARGET, VERSION


@pytest.fixture(scope="module")
def touched(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in.tarball(client, tmp_path_factory.mktemp("source"))


@pytest.fixture
def made(client: docker.DockerClient, touched: Path, tmp_path: Path) -> Callable[..., Path]:
    """Called with the name of the file for the patch: the source RPM."""

    def made(hook: str = HOOK) -> Path:
        spec = stand_in.SPEC.read_text().replace(HOOK, hook)
        (srpm,) = stand_in.packed(client, touched, tmp_path, spec, hook)
        return srpm

    return made


def test_the_patch_is_in_the_packages_and_in_their_source(
    client: docker.DockerClient, made: Callable[..., Path], tmp_path: Path
) -> None:
    rpms = stand_in.patched(client, made(), tmp_path / "out")
    # Nothing else that the spec can make, and nothing that is called as the distribution's.
    assert [path.name for path in rpms] == [
        f"kernel-panicast-{VERSION}-1.panicast.el9.src.rpm",
        f"kernel-panicast-{VERSION}-1.panicast.el9.x86_64.rpm",
        f"kernel-panicast-core-{VERSION}-1.panicast.el9.x86_64.rpm",
        *(
            f"kernel-panicast-{part}-{VERSION}-1.panicast.el9.x86_64.rpm"
            for part in ("devel", "devel-matched", "uki-virt", "uki-virt-addons")
        ),
    ]
    with Container(client, stand_in.image(client)) as box:
        box.write({path.name: path for path in rpms}, "/srv")
        for path in rpms:
            box.run(["sh", "-c", f"cd /srv && rpm2cpio {path.name} | cpio --quiet -id"])
        header = box.run(["find", "/srv/lib", "-name", "printk.h"]).output.strip()
        assert b"int kernel_log_buffer(char *buf, int max_len);" in box.read(header)
        assert b"Description: printk: add kernel_log_buffer()" in box.read(f"/srv/{HOOK}")


def test_a_spec_without_the_hook_is_refused(
    client: docker.DockerClient, made: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(BuildError, match=rf"has no {HOOK} for the patch"):
        stand_in.patched(client, made(hook="other.patch"), tmp_path / "out")


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
            rpm.make(client, metadata.load(), distros.of_family(distros.RpmDistro)[target], options)
