# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests that the Debian packages bring along, run as Debian's and Ubuntu's machines run them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets.distros import DebDistro, Distro

# What autopkgtest ends with where every test calls itself superficial, as dkms' own does.
SUPERFICIAL = 8


# One compiles, and a machine for both is to be made; test_dkms.py and test_receiver.py are in every run.
@pytest.mark.nightly
@pytest.mark.parametrize(
    ("package", "test", "code"),
    [("panicast-dkms", "dkms-autopkgtest", SUPERFICIAL), ("panicast-receiver", "receives", 0)],
)
def test_autopkgtest(
    package: str,
    test: str,
    code: int,
    client: docker.DockerClient,
    first_distro: DebDistro,
    test_image: Callable[[DebDistro], str],
    packaged: Callable[[Distro], Path],
) -> None:
    built = packaged(first_distro)
    arguments = {"ARCHIVE": images.base(client, first_distro)}
    tag = images.build(client, first_distro, "autopkgtest", arguments, parent=test_image(first_distro))
    with Container(client, tag, network="host") as box:
        box.run(["mkdir", "/built"])
        box.write({path.name: path for path in built.glob("panicast-*") if path.is_file()}, "/built")
        (description,) = built.glob(f"{package}_*.dsc")
        # A container is thrown away.
        debs = sorted(f"/built/{path.name}" for path in built.glob("*.deb"))
        argv = ["autopkgtest", "--ignore-restrictions=breaks-testbed", "--no-built-binaries"]
        done = box.run([*argv, f"/built/{description.name}", *debs, "--", "null"], check=False)
    assert done.code == code and re.search(rf"^{test} +PASS", done.output, re.MULTILINE), done.output
