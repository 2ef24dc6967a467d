# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPMs under rpmlint, and their specs under rpm's own parser, for every target."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from panicast_build.build import rpm
from panicast_build.core.paths import ROOT
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro, RpmDistro

SETTINGS = ROOT / "packaging" / "rpmlint.toml"
TARGETS = distros.of_family(RpmDistro)


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    """Debian's rpmlint beside the rpmbuild of a Debian host."""
    base = distros.get(rpm.DEBIAN_HOST)
    tag = images.build(client, base, "build-rpm-debian")
    return images.build(client, base, "lint-rpm", buildargs={"BASE": tag})


@pytest.mark.parametrize("name", TARGETS)
def test_rpmlint(
    name: str, client: docker.DockerClient, image: str, packaged: Callable[[Distro], Path]
) -> None:
    folder = packaged(TARGETS[name])
    rpms = [path.name for path in sorted(folder.glob("*.rpm"))]
    specs = [path.name for path in sorted(folder.glob("*.spec"))]
    assert (len(rpms), len(specs)) == (7, 3)
    with Container(client, image) as box:
        box.put(folder, "/tmp")
        box.put(SETTINGS, "/etc")
        # It takes the specs of several source RPMs for those of one.
        binaries = [name for name in rpms if not name.endswith(".src.rpm")]
        for files in (binaries, specs, *([name] for name in rpms if name not in binaries)):
            result = box.run(["rpmlint", "-c", "/etc/rpmlint.toml", *files], cwd="/tmp", check=False)
            assert re.search(r" 0 errors, 0 warnings", result.output), result.output


@pytest.mark.parametrize("name", TARGETS)
def test_specs_are_parsed(name: str, client: docker.DockerClient, image: str) -> None:
    """What is left of a macro after the parser is one that nobody has defined."""
    project, distro = metadata.load(), TARGETS[name]
    with Container(client, image) as box:
        for component in metadata.of_family("rpm"):
            files = rpm.render(project, component, distro, epoch=0)
            assert not [text for text in files.values() if b"{{" in text or b"{%" in text]
            box.write(files, "/tmp")
            parsed = box.run(["rpmspec", "-P", f"/tmp/{component.package}.spec"]).output
            assert f"Version:        {project.version}\n" in parsed
            assert not re.search(r"%\{|^%(?:systemd|service|firewalld|selinux)_", parsed, re.MULTILINE), (
                parsed
            )


def test_the_policy_module_links(
    client: docker.DockerClient, image: str, packaged: Callable[[Distro], Path]
) -> None:
    """Into Debian's own policy; that of an RPM distribution is not at hand."""
    (path,) = packaged(TARGETS["el9"]).glob("panicast-selinux-*.noarch.rpm")
    with Container(client, image) as box:
        box.put(path, "/tmp")
        box.run(["rpm", "-i", "--nodeps", "--noscripts", f"/tmp/{path.name}"])
        names = ("panicast.pp.bz2", "panicast_ports.cil.bz2")
        paths = [f"/usr/share/selinux/packages/{name}" for name in names]
        box.run(["semodule", "-n", "-s", "default", "-X", "200", "-i", *paths])
        listed = box.run(["semodule", "-s", "default", "-l"]).output.split()
    assert {"panicast", "panicast_ports"} <= set(listed)
