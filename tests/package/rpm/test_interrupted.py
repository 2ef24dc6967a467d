# SPDX-License-Identifier: GPL-2.0-or-later
"""A package manager that is killed, with all that it started: the same again, then a reinstallation, puts
everything right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build.targets import metadata

from ...nightly import rows
from .conftest import Machine, Start

VERSION, NEWER = metadata.load().version, "0.99.0"
DKMS, COMMON, RECEIVER = "panicast-dkms", "panicast-common", "panicast-receiver"
HEADERS = "kernel-devel"
MODPROBE = "/etc/modprobe.d/panicast.conf"
TREE = f"/var/lib/dkms/panicast/{VERSION}"
INSTALLED = "/lib/modules/*/updates/dkms"


# What goes with each.
WITH = {DKMS: (DKMS, COMMON), RECEIVER: (RECEIVER,)}


def seen(path: str, *more: str) -> tuple[str, ...]:
    return ("--seen", path, *more)


# Over the whole installation, in its order.
POINTS = {
    "unpacking": seen(f"/usr/src/panicast-{VERSION}"),
    "noted": ("--said", "/var/log/dnf.rpm.log", f"Installed: {DKMS}"),
    "headers": seen("/usr/src/kernels/*"),
    "registering": seen(TREE),
    "compiled a part": seen(f"{TREE}/build/main.o", "--compiling"),
    "compiling, 1 s later": seen(f"{TREE}/build/make.log", "--later", "1", "--compiling"),
    "linked": seen(f"{TREE}/build/panicast.ko"),
    "first of two modules": seen(f"{INSTALLED}/panicast.ko*"),
    "over": ("--said", "/var/log/dnf.log", "RPM transaction over"),
    # What it had started goes on and is not waited for by anybody.
    "dnf alone": seen(f"{TREE}/build/main.o", "--only", "dnf"),
}
RECEIVER_POINTS = {
    "unpacking": seen("/usr/lib/panicast-receiver"),
    "user": ("--said", "/etc/passwd", "panicast:"),
    "noted": ("--said", "/var/log/dnf.rpm.log", f"Installed: {RECEIVER}"),
}
INSTALLATIONS = {
    f"{package}-{name}": (package, point)
    for package, points in ((DKMS, POINTS), (RECEIVER, RECEIVER_POINTS))
    for name, point in points.items()
}
# One of each kind in every run: rpm unpacks, DKMS compiles and installs, only dnf is killed; the receiver's.
USUAL = {
    *(f"{DKMS}-{name}" for name in ("unpacking", "compiled a part", "first of two modules", "dnf alone")),
    f"{RECEIVER}-user",
}
WANTED = {DKMS: (DKMS, COMMON, HEADERS), RECEIVER: (RECEIVER,)}


def state(machine: Machine) -> dict[str, object]:
    """All that makes a whole installation."""
    said = {
        name: machine.run(argv.split(), check=False).output
        for name, argv in {
            "packages": "rpm -qa panicast-*",
            "changed": f"rpm -V {DKMS} {COMMON} {RECEIVER}",
            "module": "dkms status",
            "user": "id panicast",
        }.items()
    }
    return {**said, "files": machine.files()}


def sweep(machine: Machine) -> None:
    """What rpm leaves that is killed while it unpacks, never to look at it again: docs/support.md says so."""
    machine.run(["find", "/etc", "/usr", "-xdev", "!", "-type", "d", "-regex", ".*;[0-9a-f]+", "-delete"])


def again(machine: Machine, step: str, *packages: str) -> None:
    """What was interrupted, once more; and once more where the first only cleans up."""
    argv = [*machine.manager.command(step), *packages]
    tries = [machine.run(argv, check=False)]
    if tries[0].code:
        tries.append(machine.run(argv, check=False))
    assert tries[-1].code == 0, "\n".join(each.output for each in tries)


@pytest.fixture(scope="module")
def states() -> dict[str, dict[str, object]]:
    """What undisturbed installations leave, by the package."""
    return {}


@pytest.mark.parametrize(("package", "point"), rows(INSTALLATIONS, USUAL))
def test_installation(package: str, point, start: Start, states: dict, cut_off: Callable) -> None:
    wanted = WANTED[package]
    if package not in states:
        undisturbed = start()
        undisturbed.do("install", *wanted)
        states[package] = state(undisturbed)
    machine = start()
    before = machine.files()
    cut_off(machine, point, [*machine.manager.command("install"), *wanted])
    sweep(machine)
    noted = machine.run(["rpm", "-q", package], check=False).code == 0
    again(machine, "install", *wanted)
    if noted:
        machine.do("reinstall", *WITH[package])
    assert state(machine) == states[package]
    machine.do("remove", *wanted)
    assert machine.files() - before == set()


@pytest.mark.parametrize("name", ["dnf", pytest.param("dnf5", marks=pytest.mark.nightly)])
def test_what_dkms_left_half_made_keeps_nothing_from_going_on(
    name: str, start: Start, half_made: dict[str, str]
) -> None:
    """Without headers: nothing is built, which is not what this is about."""
    machine = start(name)
    before = machine.files()
    machine.do("install", DKMS)
    files, known = machine.files(), machine.run(["dkms", "status"]).output
    assert "added" in known
    for what, harm in half_made.items():
        machine.run(["sh", "-c", harm])
        machine.do("reinstall", DKMS)
        assert machine.files() == files, what
        assert machine.run(["dkms", "status"]).output == known, what
        machine.run(["sh", "-c", harm])
        machine.do("remove", *WITH[DKMS])
        assert machine.files() - before == set(), what
        machine.do("install", DKMS)


UPGRADES = {
    "unpacking": (seen(f"/usr/src/panicast-{NEWER}"),),
    "the old module goes": (("--gone", f"{INSTALLED}/panicast.ko*"),),
}


@pytest.mark.parametrize("point", rows(UPGRADES, {"the old module goes"}))
def test_upgrade(point, start: Start, newer: Callable[[str], Path], cut_off: Callable) -> None:
    machine = start()
    machine.do("install", DKMS, HEADERS)
    edited = machine.read(MODPROBE) + b"# edited\n"
    machine.write({Path(MODPROBE).name: edited}, str(Path(MODPROBE).parent))
    machine.add(newer(machine.distro).glob("*.noarch.rpm"))
    cut_off(machine, point, [*machine.manager.command("upgrade"), DKMS])
    sweep(machine)
    # Where both versions are there, as far as rpm knows.
    machine.run([*machine.manager.argv, "remove", "--duplicates"], check=False)
    again(machine, "upgrade", DKMS)
    again(machine, "reinstall", *WITH[DKMS])
    assert machine.module_version() == NEWER
    assert machine.dkms_versions() == {NEWER}
    assert machine.run(["rpm", "-q", DKMS]).output.count(DKMS) == 1
    assert machine.read(MODPROBE) == edited
    assert machine.run(["find", "/usr/src", "-name", "panicast-*"]).output == f"/usr/src/panicast-{NEWER}\n"


REMOVALS = {
    "the module goes": (("--gone", f"{INSTALLED}/panicast.ko*"),),
    "files go": (("--gone", "/usr/sbin/panicast-ctl"),),
}


@pytest.mark.parametrize("point", rows(REMOVALS, {"the module goes"}))
def test_removal(point, start: Start, cut_off: Callable) -> None:
    machine = start()
    before = machine.files()
    machine.do("install", DKMS, HEADERS)
    cut_off(machine, point, [*machine.manager.command("remove"), *WITH[DKMS]])
    again(machine, "remove", *WITH[DKMS])
    machine.do("remove", HEADERS)
    assert machine.files() - before == set()
