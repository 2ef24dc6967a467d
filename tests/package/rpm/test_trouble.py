# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong with panicast-dkms on a machine is said, fails no transaction, and can be put right."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.targets import metadata

from .conftest import Machine, Start

VERSION = metadata.load().version
DKMS = "panicast-dkms"
BUILD = "/usr/libexec/panicast-dkms/build-modules"
LOUD = "NOT every kernel of this machine will send its last words"
PREDECESSOR, NEWER_KERNEL = (
    Path(__file__).with_name(f"{name}.spec") for name in ("predecessor", "newer-kernel")
)


def kernel(machine: Machine) -> str:
    return machine.run(["ls", "/lib/modules"]).output.strip()


def test_missing_headers_are_said_and_their_arrival_builds_the_module(start: Start) -> None:
    machine = start()
    machine.run(["mkdir", f"/lib/modules/{kernel(machine)}/kernel"])
    said = machine.do("install", DKMS)
    number, _, rest = kernel(machine).partition("-")
    assert LOUD in said and f"dnf install 'kernel-devel-uname-r = {number}-{rest.replace('-', '_')}'" in said
    assert machine.modules() == []

    said = machine.do("install", "kernel-devel")
    assert LOUD not in said
    assert machine.module_version() == VERSION


def made_of(machine: Machine, spec: Path, **words: str) -> str:
    """The RPM that a spec makes there, with these WORDS in the place of their @WORDS@."""
    text = spec.read_text()
    for name, word in words.items():
        text = text.replace(f"@{name}@", word)
    machine.write({spec.name: text.encode()}, "/tmp")
    machine.run(["rpmbuild", "-bb", "--quiet", f"/tmp/{spec.name}"])
    (made,) = machine.run(["find", "/root/rpmbuild/RPMS", "-name", "*.rpm"]).output.split()
    return made


def test_a_new_kernel_has_the_module_before_it_is_booted(start: Start) -> None:
    machine = start()
    machine.do("install", DKMS, "kernel-devel")
    first = machine.modules()
    headers = machine.run(["readlink", "-f", f"/lib/modules/{kernel(machine)}/build"]).output.strip()
    newer = made_of(machine, NEWER_KERNEL, HEADERS=headers)
    said = machine.do("upgrade", newer)
    assert LOUD not in said
    second = set(machine.modules()) - set(first)
    assert second == {path.replace(kernel(machine).split()[0], "99.1-newer") for path in first}
    assert set(first) < set(machine.modules())


def test_a_kernel_that_is_too_old_is_said_once(start: Start) -> None:
    """Not at each of its updates."""
    machine = start()
    machine.run(["mkdir", "-p", "/lib/modules/4.18.0-553.el8.x86_64/kernel"])
    said = machine.do("install", DKMS)
    assert LOUD in said and "kernel 4.18.0-553.el8.x86_64 is too old: panicast needs Linux 5.10" in said
    assert machine.run([BUILD, "--missing"]).output == ""


def test_no_kernel_at_all_is_said_too(start: Start) -> None:
    machine = start()
    assert "no kernel is installed" in machine.do("install", DKMS)


def test_module_that_does_not_compile(start: Start, broken: list[Path]) -> None:
    machine = start()
    machine.add(broken)
    said = machine.do("install", DKMS, "kernel-devel")
    assert said.count(LOUD) == 1 and "make.log" in said
    assert machine.modules() == []
    machine.do("remove", DKMS)
    assert machine.dkms_versions() == set()
    assert machine.run(["find", "/var/lib/dkms", "-name", "panicast*"]).output == ""


def test_full_disk(start: Start) -> None:
    machine = start(tmpfs={"/var/lib/dkms": "size=40m"})
    fill = "head -c 40m /dev/zero > /var/lib/dkms/filler; truncate -s -64k /var/lib/dkms/filler"
    machine.run(["sh", "-c", fill], check=False)
    said = machine.do("install", DKMS, "kernel-devel")
    assert LOUD in said and "No space left on device" in said, said
    assert machine.module_version() == ""

    machine.run(["rm", "/var/lib/dkms/filler"])
    machine.run([BUILD])
    assert machine.module_version() == VERSION


@pytest.mark.parametrize("preun", ["true", "false"])
def test_broken_predecessor(preun: str, start: Start) -> None:
    """One that calls dkms in %post, and whose %preun leaves all behind, or fails."""
    machine = start()
    machine.do("install", "kernel-devel", "dkms")
    machine.do("install", made_of(machine, PREDECESSOR, PREUN=preun))
    assert machine.dkms_versions() == {"0.0.9"}

    machine.do("upgrade", DKMS, check=preun == "true")
    assert machine.module_version() == VERSION
    assert machine.dkms_versions() == {VERSION}
    if preun == "true":
        machine.do("remove", DKMS)
        assert machine.modules() == []
        assert machine.run(["find", "/var/lib/dkms", "/usr/src", "-name", "panicast*"]).output == ""
