# SPDX-License-Identifier: GPL-2.0-or-later
"""What was left half made by a moment too short to be met with a kill: it keeps nothing from going on."""

from __future__ import annotations

from .conftest import Machine

DKMS, COMMON, RECEIVER = "panicast-dkms", "panicast-common", "panicast-receiver"
STATUS = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", DKMS]


def hide_headers(machine: Machine) -> None:
    """Lets nothing be built, which is not what this is about."""
    machine.run(["sh", "-c", "mv /lib/modules/*/build /tmp"])


def flag(machine: Machine, status: str, package: str = DKMS) -> None:
    """Has dpkg believe that a package is in that state."""
    flagged = f"/^Package: {package}$/,/^$/s/^Status: .*/Status: install {status}/"
    machine.run(["sed", "-i", flagged, "/var/lib/dpkg/status"])


def test_what_dkms_left_is_configured(machine: Machine, half_made: dict[str, str]) -> None:
    hide_headers(machine)
    machine.apt("install", DKMS)
    files, known = machine.files(), machine.run(["dkms", "status"]).output
    assert "added" in known
    for name, harm in half_made.items():
        machine.run(["sh", "-c", harm])
        flag(machine, "ok half-configured")
        machine.run(["dpkg", "--configure", "-a"])
        assert machine.files() == files, name
        assert machine.run(["dkms", "status"]).output == known, name


def test_what_dkms_left_is_removed(machine: Machine, half_made: dict[str, str]) -> None:
    hide_headers(machine)
    before = machine.files()
    for name, harm in half_made.items():
        machine.apt("install", DKMS)
        machine.run(["sh", "-c", harm])
        machine.apt("purge", DKMS, COMMON)
        assert machine.files() - before == set(), name


def test_what_dpkg_left_is_reinstalled(machine: Machine) -> None:
    """As it says itself. --fix-broken does not: a limit of dpkg's and apt's own, in docs/support.md."""
    hide_headers(machine)
    machine.run(["sh", "-c", f"dpkg --unpack /repo/{DKMS}_*.deb /repo/{COMMON}_*.deb"])
    flag(machine, "reinstreq unpacked")
    assert "you should" in machine.run(["dpkg", "--configure", "-a"], check=False).output
    assert machine.apt("--fix-broken", "install", check=False).code != 0
    machine.apt("install", "--reinstall", DKMS)
    assert machine.run(STATUS).output == "ii "


def test_byte_code_that_was_half_written_does_not_stay(machine: Machine) -> None:
    """CPython writes it beside, under the name that it shall have and a number, and renames it."""
    stale = "/usr/lib/python3/dist-packages/panicast_receiver/cli/__pycache__/main.cpython-311.pyc.139816"
    machine.apt("install", RECEIVER)
    files = machine.files()
    machine.run(["touch", stale])
    assert machine.files() - files == {stale}
    flag(machine, "ok half-configured", RECEIVER)
    machine.run(["dpkg", "--configure", "-a"])
    assert machine.files() == files


# A package with a module that has the place of ours, and a link of weak-modules to it.
OTHERS = """
set -e
cd /lib/modules/*
mkdir -p /root/other/DEBIAN /root/other/$PWD/updates/dkms /root/other/$PWD/weak-updates
touch /root/other/$PWD/updates/dkms/panicast.ko
ln -s $PWD/updates/dkms/panicast.ko /root/other/$PWD/weak-updates
printf '%s\\n' 'Package: other' 'Version: 1' 'Architecture: all' 'Maintainer: x <x@y.z>' 'Description: x' \\
    > /root/other/DEBIAN/control
dpkg-deb -b /root/other /root/other.deb
"""


def test_what_another_package_brought_stays(machine: Machine) -> None:
    hide_headers(machine)
    machine.run(["sh", "-c", OTHERS])
    machine.run(["dpkg", "-i", "/root/other.deb"])
    others = {"updates/dkms/panicast.ko", "weak-updates/panicast.ko"}
    machine.apt("install", DKMS)
    machine.apt("purge", DKMS, COMMON)
    assert {path.split("/", 4)[4] for path in machine.modules()} == others
    assert machine.run(["dpkg", "--verify", "other"]).output == ""
