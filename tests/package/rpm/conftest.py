# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away machines on which real dnf, dnf5 and zypper install the RPMs; other versions of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest

from panicast_build.build import rpmroot, verified
from panicast_build.engine.container import Container
from panicast_build.targets.distros import Distro, get

from ..conftest import ONE_TIME, Inv, build_in

# What any use of a package manager or of depmod changes, and what is dkms' own to keep (its signing key).
NOT_OURS = (
    *("/proc", "/sys", "/dev", "/tmp", "/run", "/repo", "/ccache", "/root", "/var/log", "/var/cache"),
    "/var/tmp",
)
NOT_OURS_NAMES = (
    *("/var/lib/rpm/*", "/usr/lib/sysimage/*", "/var/lib/dnf*", "/var/lib/zypp*", "/etc/dnf/*"),
    *("/var/lib/dkms/mok.*", "/usr/lib/modules/*/modules.*"),
    # Folders that dnf5 and zypper make for themselves, and one that systemd has on RPM distributions.
    *("/usr/lib/sysimage", "/var/adm", "/var/adm/update-scripts", "/usr/lib/modules-load.d"),
    # The user that a package made stays, and so do the passwd file's lock and backup.
    *("/etc/.pwd.lock", "/etc/*-"),
)


# The target whose RPMs each package manager installs.
TARGETS = {"dnf": "el9", "dnf5": "fedora", "zypper": "opensuse-leap"}


class Machine(Container):
    """A machine whose package manager knows the stubs and the RPMs that were built."""

    manager: rpmroot.Manager
    distro: str
    # The hashes of what is installed.
    built: dict[str, str]

    def do(self, step: str, *packages: str, version: str = "", check: bool = True) -> str:
        """Has the manager install, upgrade, reinstall, downgrade or remove packages; what it said."""
        if version:
            packages = tuple(self.manager.exactly.format(name=name, version=version) for name in packages)
        return self.run([*self.manager.command(step), *packages], check=check).output

    def add(self, rpms: Iterator[Path] | list[Path]) -> None:
        """Puts RPMs into the repository."""
        self.write({path.name: path for path in rpms}, "/repo")
        self.run(["createrepo_c", "-q", "/repo"])

    def files(self) -> set[str]:
        """Every path of the machine that packages of ours could have left."""
        pruned = [word for top in NOT_OURS for word in ("-path", top, "-o")][:-1]
        ignored = [word for name in NOT_OURS_NAMES for word in ("!", "-path", name)]
        listed = self.run(["find", "/", "(", *pruned, ")", "-prune", "-o", *ignored, "-print"]).output
        return set(listed.splitlines())

    def host(self) -> str:
        """Whose root this is."""
        return self.run(["sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"']).output.strip()

    def modules(self) -> list[str]:
        """The built modules in /lib/modules."""
        return self.run(["find", "/lib/modules/", "-name", "panicast.ko*"]).output.split()

    def module_version(self) -> str:
        """The version of the one module that is built; "" if none is."""
        found = self.modules()
        assert len(found) < 2, found
        return self.run(["modinfo", "-F", "version", *found]).output.strip() if found else ""

    def dkms_versions(self) -> set[str]:
        """The versions that dkms knows, whatever their state."""
        lines = self.run(["dkms", "status"]).output.splitlines()
        return {line.split(",")[0].removeprefix("panicast/").split(":")[0].strip() for line in lines if line}


Start = Callable[..., Machine]


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory, copy_tree: Callable[..., None], inv: Inv) -> list[Path]:
    """panicast-dkms of EL 9 with a module that does not compile."""
    root = tmp_path_factory.mktemp("broken")
    copy_tree(root, {"kmod/main.c": ("#include", "#error as a test\n#include")}, date=ONE_TIME)
    return list(build_in(inv, root, "el9", "--component", "kmod").glob("*.noarch.rpm"))


@pytest.fixture
def start(
    client: docker.DockerClient, packaged: Callable[[Distro], Path], compiled: dict[str, Any]
) -> Iterator[Start]:
    """start(manager, tmpfs={…}): a machine of that manager, which knows what was built for its target."""

    def start(name: str = "dnf", **options: Any) -> Machine:
        manager = rpmroot.MANAGERS[name]
        built = packaged(get(TARGETS[name]))
        box = stack.enter_context(Machine(client, rpmroot.image(client, manager.root), **compiled, **options))
        box.manager, box.distro, box.built = manager, TARGETS[name], verified.hashes(TARGETS[name])
        box.run(["mkdir", "-p", "/repo", manager.repositories])
        box.add(built.glob("*.noarch.rpm"))
        repositories = manager.configuration({"repo": "/repo", "stubs": rpmroot.STUBS})
        box.write({"test.repo": repositories}, manager.repositories)
        return box

    with ExitStack() as stack:
        yield start
