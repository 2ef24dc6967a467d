# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong with panicast-dkms on a machine is said, fails no transaction, and can be put right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build import metadata

VERSION, NEWER = metadata.load().version, "0.99.0"
DKMS = "panicast-dkms"
BUILD = "/usr/libexec/panicast-dkms/build-modules"
LOUD = "NOT every kernel of this machine will send its last words"
# Ends the manager and all that it started, as a power cut would, once a file is there.
KILL = 'setsid "$@" & until [ -e {path} ]; do sleep 0.01; done; kill -s KILL -- -$!'
PREDECESSOR = Path(__file__).with_name("predecessor.spec")


def again(machine, step: str, *packages: str) -> None:
    """What somebody does whose machine was cut off: the step, once more where the first only cleans up."""
    argv = [*machine.manager.command(step), *packages]
    tries = [machine.run(argv, check=False)]
    if tries[0].code:
        tries.append(machine.run(argv, check=False))
    assert tries[-1].code == 0, "\n".join(each.output for each in tries)


def kernel(machine) -> str:
    return machine.run(["ls", "/lib/modules"]).output.strip()


def test_missing_headers_are_said_and_their_arrival_builds_the_module(start: Callable) -> None:
    machine = start()
    machine.run(["mkdir", f"/lib/modules/{kernel(machine)}/kernel"])
    said = machine.do("install", DKMS)
    assert LOUD in said and f"dnf install kernel-devel-{kernel(machine)}" in said
    assert machine.modules() == []

    said = machine.do("install", "kernel-devel")
    assert LOUD not in said
    assert machine.module_version() == VERSION


def test_no_kernel_at_all_is_said_too(start: Callable) -> None:
    machine = start()
    assert "no kernel is installed" in machine.do("install", DKMS)


def test_module_that_does_not_compile(start: Callable, broken: list[Path]) -> None:
    machine = start()
    machine.add(broken)
    said = machine.do("install", DKMS, "kernel-devel")
    assert said.count(LOUD) == 1 and "make.log" in said
    assert machine.modules() == []
    machine.do("remove", DKMS)
    assert machine.dkms_versions() == set()
    assert machine.run(["find", "/var/lib/dkms", "-name", "panicast*"]).output == ""


def test_full_disk(start: Callable) -> None:
    machine = start(tmpfs={"/var/lib/dkms": "size=40m"})
    fill = "head -c 40m /dev/zero > /var/lib/dkms/filler; truncate -s -64k /var/lib/dkms/filler"
    machine.run(["sh", "-c", fill], check=False)
    said = machine.do("install", DKMS, "kernel-devel")
    assert LOUD in said and "No space left on device" in said, said
    assert machine.module_version() == ""

    machine.run(["rm", "/var/lib/dkms/filler"])
    machine.run([BUILD])
    assert machine.module_version() == VERSION


@pytest.mark.parametrize(
    "path", [f"/usr/src/panicast-{VERSION}", f"/var/lib/dkms/panicast/{VERSION}/build/make.log"]
)
def test_installation_that_is_killed_is_repeated(path: str, start: Callable) -> None:
    """While files are written, and while the module is built."""
    machine = start()
    argv = [*machine.manager.argv, "install", DKMS, "kernel-devel"]
    machine.run(["sh", "-c", KILL.format(path=path), "kill", *argv], check=False)
    assert machine.modules() == []
    installed = machine.run(["rpm", "-q", DKMS], check=False).code == 0
    again(machine, "reinstall" if installed else "install", DKMS)
    machine.do("install", "kernel-devel")
    assert machine.module_version() == VERSION
    assert machine.run(["rpm", "-V", DKMS], check=False).output == ""


def test_upgrade_that_is_killed_is_repeated(start: Callable, newer: Path) -> None:
    machine = start()
    machine.do("install", DKMS, "kernel-devel")
    machine.add((newer / "el9").glob(f"{DKMS}-*.noarch.rpm"))
    argv = [*machine.manager.argv, "upgrade", DKMS]
    machine.run(["sh", "-c", KILL.format(path=f"/usr/src/panicast-{NEWER}"), "kill", *argv], check=False)
    machine.run([*machine.manager.argv, "remove", "--duplicates"], check=False)
    again(machine, "upgrade", DKMS)
    again(machine, "reinstall", DKMS)
    assert machine.module_version() == NEWER
    assert machine.dkms_versions() == {NEWER}
    assert machine.run(["rpm", "-q", DKMS]).output.count(DKMS) == 1


@pytest.mark.parametrize("preun", ["true", "false"])
def test_broken_predecessor(preun: str, start: Callable) -> None:
    """One that calls dkms in %post, and whose %preun leaves all behind, or fails."""
    machine = start()
    machine.do("install", "kernel-devel", "dkms")
    machine.write({PREDECESSOR.name: PREDECESSOR.read_text().replace("@PREUN@", preun).encode()}, "/tmp")
    machine.run(["rpmbuild", "-bb", "--quiet", f"/tmp/{PREDECESSOR.name}"])
    (old,) = machine.run(["find", "/root/rpmbuild/RPMS", "-name", "*.rpm"]).output.split()
    machine.do("install", old)
    assert machine.dkms_versions() == {"0.0.9"}

    machine.do("upgrade", DKMS, check=preun == "true")
    assert machine.module_version() == VERSION
    assert machine.dkms_versions() == {VERSION}
    if preun == "true":
        machine.do("remove", DKMS)
        assert machine.modules() == []
        assert machine.run(["find", "/var/lib/dkms", "/usr/src", "-name", "panicast*"]).output == ""
