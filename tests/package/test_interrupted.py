# SPDX-License-Identifier: GPL-2.0-or-later
"""apt that is killed, with all that it started: what apt and dpkg say then puts everything right."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from panicast_build.targets import metadata
from panicast_build.targets.distros import DebDistro

from ..nightly import rows
from .conftest import Machine

VERSION, NEWER = metadata.load().version, "0.99.0"
DKMS, COMMON, RECEIVER = "panicast-dkms", "panicast-common", "panicast-receiver"
# What goes with each.
WITH = {DKMS: (DKMS, COMMON), RECEIVER: (RECEIVER,)}
MODPROBE = "/etc/modprobe.d/panicast.conf"
DPKG_LOG = "/var/log/dpkg.log"
TREE, NEWER_TREE = (f"/var/lib/dkms/panicast/{version}" for version in (VERSION, NEWER))
INSTALLED = "/lib/modules/*/updates/dkms"


def said(words: str) -> tuple[str, ...]:
    """What dpkg notes when it begins something."""
    return ("--said", DPKG_LOG, words)


def seen(path: str, *more: str) -> tuple[str, ...]:
    return ("--seen", path, *more)


# Over the whole installation, in its order.
POINTS = {
    "unpacking": said(f"status half-installed {DKMS}"),
    "unpacked": said(f"status unpacked {DKMS}"),
    "registering": seen(TREE),
    "compiled a part": seen(f"{TREE}/build/main.o", "--compiling"),
    "compiling, 1 s later": seen(f"{TREE}/build/make.log", "--later", "1", "--compiling"),
    "linked": seen(f"{TREE}/build/panicast.ko"),
    "first of two modules": seen(f"{INSTALLED}/panicast.ko*"),
    "configured": said(f"status installed {DKMS}"),
    "triggers": said("trigproc man-db"),
    # What it had started is not killed, but finds that its terminal has hung up.
    "apt alone": seen(f"{TREE}/build/main.o", "--only", "apt-get"),
    "dpkg alone": seen(f"{TREE}/build/main.o", "--only", "dpkg"),
}
RECEIVER_POINTS = {
    "unpacking": said(f"status half-installed {RECEIVER}"),
    "unpacked": said(f"status unpacked {RECEIVER}"),
    "user": ("--said", "/etc/passwd", "panicast:"),
    "byte code": seen("/usr/lib/python3/dist-packages/panicast_receiver/cli/__pycache__/main.*"),
    "service": seen("/etc/systemd/system/multi-user.target.wants/panicast-receiver.service"),
}
INSTALLATIONS = {
    f"{package}-{name}": (package, point)
    for package, points in ((DKMS, POINTS), (RECEIVER, RECEIVER_POINTS))
    for name, point in points.items()
}
# One of each kind in every run: dpkg unpacks, DKMS compiles and installs, only apt is killed; the receiver's.
USUAL = {
    *(f"{DKMS}-{name}" for name in ("unpacking", "compiled a part", "first of two modules", "apt alone")),
    f"{RECEIVER}-service",
}


def state(machine: Machine) -> dict[str, object]:
    """All that makes a whole installation."""
    said = {
        name: machine.run(argv.split(), check=False).output
        for name, argv in {
            "packages": "dpkg-query -W -f ${Package}:${Version}:${db:Status-Status}\\n panicast-*",
            "unfinished": "dpkg --audit",
            "changed": f"dpkg --verify {DKMS} {COMMON} {RECEIVER}",
            "module": "dkms status",
            "user": "id panicast",
        }.items()
    }
    return {**said, "files": machine.files()}


def sweep(machine: Machine) -> None:
    """What deb-systemd-helper leaves that is killed while it notes a unit, never to look at it again:
    docs/support.md says so."""
    machine.run(["find", "/var/lib/systemd", "-path", "*/deb-systemd-helper-*/.state?????.tmp", "-delete"])


def repair(machine: Machine, package: str) -> None:
    """What apt says first ("dpkg was interrupted, you must manually run …"), what dpkg then says of a package
    that was not unpacked to the end of its book-keeping, and what apt says at last."""
    said = machine.run(["dpkg", "--configure", "-a"], check=False).output
    if "reinstall it before attempting configuration" in said:
        machine.apt("install", "--reinstall", package)
    machine.apt("--fix-broken", "install")
    sweep(machine)


@pytest.fixture
def distro(first_distro: DebDistro):
    return first_distro


@pytest.fixture(scope="module")
def whole(boot: Callable, first_distro: DebDistro) -> Callable:
    """whole(package): the state that its installation leaves where nothing disturbs it."""

    @cache
    def whole(package: str) -> dict[str, object]:
        with boot(first_distro) as machine:
            machine.apt("install", package)
            return state(machine)

    return whole


@pytest.mark.parametrize(("package", "point"), rows(INSTALLATIONS, USUAL))
def test_installation(package: str, point, machine: Machine, whole: Callable, cut_off: Callable) -> None:
    before = machine.files()
    cut_off(machine, point, [*machine.apt_get, "install", package])
    repair(machine, package)
    machine.apt("install", package)
    assert state(machine) == whole(package)
    machine.apt("purge", *WITH[package])
    assert machine.files() - before == set()


def edit(machine: Machine) -> bytes:
    """What an administrator makes of the settings."""
    edited = machine.read(MODPROBE) + b"# edited\n"
    machine.write({Path(MODPROBE).name: edited}, str(Path(MODPROBE).parent))
    return edited


UPGRADES = {
    "the old module goes": (("--gone", f"{INSTALLED}/panicast.ko*"),),
    "unpacking": (seen(f"/usr/src/panicast-{NEWER}"),),
    "compiled a part": (seen(f"{NEWER_TREE}/build/main.o", "--compiling"),),
}


@pytest.mark.parametrize("point", rows(UPGRADES, {"the old module goes"}))
def test_upgrade(
    point, machine: Machine, distro: DebDistro, newer: Callable[[str], Path], cut_off: Callable
) -> None:
    before = machine.files()
    machine.apt("install", DKMS)
    edited = edit(machine)
    machine.add(newer(distro.name).glob("*.deb"))
    cut_off(machine, point, [*machine.apt_get, "upgrade"])
    repair(machine, DKMS)
    machine.apt("upgrade")
    assert machine.run(["dpkg", "--audit"]).output == ""
    status = machine.run(["dkms", "status"]).output
    assert status.startswith(f"panicast/{NEWER},") and status.count("\n") == 1 and ": installed" in status
    assert machine.run(["find", "/usr/src", "-name", "panicast-*"]).output == f"/usr/src/panicast-{NEWER}\n"
    assert machine.run(["dpkg", "--verify", *WITH[DKMS]]).output.split() == ["??5??????", "c", MODPROBE]
    assert machine.read(MODPROBE) == edited
    machine.apt("purge", *WITH[DKMS])
    assert machine.files() - before == set()


REMOVALS = {
    "the module goes": (("--gone", f"{INSTALLED}/panicast.ko*"), said(f"purge {COMMON}")),
    "files go": (("--gone", "/usr/sbin/panicast-ctl"), ("--gone", MODPROBE)),
}


@pytest.mark.parametrize(("of_removal", "of_purge"), rows(REMOVALS, {"the module goes"}))
def test_removal_and_purge(of_removal, of_purge, machine: Machine, cut_off: Callable) -> None:
    before = machine.files()
    machine.apt("install", DKMS)
    edited = edit(machine)
    cut_off(machine, of_removal, [*machine.apt_get, "remove", *WITH[DKMS]])
    repair(machine, DKMS)
    machine.apt("remove", *WITH[DKMS])
    assert machine.modules() == []
    assert machine.read(MODPROBE) == edited
    cut_off(machine, of_purge, [*machine.apt_get, "purge", *WITH[DKMS]])
    repair(machine, DKMS)
    machine.apt("purge", *WITH[DKMS])
    assert machine.files() - before == set()


@pytest.mark.parametrize("package", [DKMS, RECEIVER])
def test_purge_when_a_power_cut_emptied_the_notes_of_links(package: str, machine: Machine) -> None:
    before = machine.files()
    machine.apt("install", package)
    empty = "for note in /var/lib/systemd/deb-systemd-helper-enabled/panicast*.dsh-also; do : >$note; done"
    assert machine.run(["grep", "-l", "wants", "-r", "/var/lib/systemd/deb-systemd-helper-enabled"]).output
    machine.run(["sh", "-c", empty])
    machine.apt("remove", *WITH[package])
    machine.apt("purge", *WITH[package])
    assert machine.files() - before == set()


def test_an_upgrade_that_is_refused_leaves_the_old_module(
    machine: Machine, distro: DebDistro, newer: Callable
) -> None:
    machine.apt("install", DKMS)
    (deb,) = newer(distro.name).glob(f"{DKMS}_*.deb")
    machine.put(deb, "/root")
    spoil = "dpkg-deb -R /root/{0} /root/tree && printf '#!/bin/sh\\nexit 1\\n' >/root/tree/DEBIAN/preinst"
    machine.run(["sh", "-c", f"{spoil.format(deb.name)} && chmod 755 /root/tree/DEBIAN/preinst"])
    machine.run(["dpkg-deb", "--build", "/root/tree", "/root/spoilt.deb"])
    assert machine.run(["dpkg", "-i", "/root/spoilt.deb"], check=False).code != 0
    assert machine.run(["dpkg", "--audit"]).output == ""
    assert len(machine.modules()) == 2 and ": installed" in machine.run(["dkms", "status"]).output
