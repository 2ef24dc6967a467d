# SPDX-License-Identifier: GPL-2.0-or-later
"""panicast-dkms through its life on a machine: what is built, what is said, what is left."""

from __future__ import annotations

import re

import pytest

from panicast_build.build import verified
from panicast_build.targets import metadata
from panicast_build.targets.distros import DebDistro

from ..conftest import ON_THE_FIRST
from .conftest import Boot, Machine

VERSION = metadata.load().version
NAME = "panicast.ko*"
CONFIG = "/etc/modprobe.d/panicast.conf"
DKMS, COMMON = PACKAGES = "panicast-dkms", "panicast-common"


def versions(machine: Machine) -> set[str]:
    """Those of the modules that are built, of what DKMS has, and of the sources."""
    built = machine.run(["modinfo", "-F", "version", *machine.modules()]).output.split()
    known = machine.run(["dkms", "status", "panicast"]).output.splitlines()
    sources = machine.run(["find", "/usr/src", "-name", "panicast-*"]).output.split()
    assert all(line.endswith(": installed") for line in known), known
    return {
        *built,
        *(line.split(",")[0].removeprefix("panicast/") for line in known),
        *(path.removeprefix("/usr/src/panicast-") for path in sources),
    }


# panicast-ctl initramfs on, and a boot that has sent what was kept of a crash.
SWITCH = "/etc/panicast/initramfs"
USED = f"mkdir -p /etc/panicast /var/lib/panicast-ctl && touch {SWITCH} /var/lib/panicast-ctl/kept"


def test_life(machine: Machine, distro: DebDistro, newer) -> None:
    before = machine.files()
    said = machine.apt("install", DKMS).output
    assert "NOT BUILT" not in said
    (module,) = machine.modules(NAME)
    assert versions(machine) == {VERSION}
    assert machine.run(["modinfo", "-F", "license", module]).output.strip() == "GPL"
    assert machine.run(["man", "--where", "panicast-ctl"]).code == 0

    machine.run(["sh", "-c", USED])
    edited = machine.read(CONFIG) + b"options panicast kib=128\n"
    machine.write({"panicast.conf": edited}, "/etc/modprobe.d")
    machine.add(newer(distro.name).glob("*.deb"))
    for step, version in machine.live(*PACKAGES):
        assert machine.modules(NAME) == [module], step
        assert versions(machine) == {version}, step
        assert machine.read(CONFIG) == edited, step
        machine.run(["test", "-e", SWITCH])

    machine.apt("remove", *PACKAGES)
    assert machine.modules() == []
    assert machine.read(CONFIG) == edited

    machine.apt("purge", *PACKAGES)
    assert machine.files() - before == set()
    verified.add_life(distro.name, PACKAGES, machine.built, machine.seen())


@pytest.fixture
def first_machine(boot: Boot, first_distro: DebDistro):
    with boot(first_distro) as box:
        yield box


def test_a_new_kernel_has_the_module_before_it_is_booted(
    first_machine: Machine, first_distro: DebDistro
) -> None:
    """Once it has its headers; before that, what lacks is said."""
    if not first_distro.other_kernel:
        pytest.skip(f"{first_distro.name} has no other_kernel in distros.toml")
    machine = first_machine
    machine.apt("install", DKMS)
    machine.run(["sh", "-c", "mv /srv/pool/*.deb /repo"])
    machine.add([])
    before = machine.modules(NAME)
    image, headers = first_distro.other_kernel
    machine.apt("install", image)
    assert machine.modules(NAME) == before
    said = machine.run(["panicast-ctl", "doctor"], check=False).output
    (kernel,) = re.findall(r"installed kernel (\S+) has no module: its headers are not installed", said)

    machine.apt("install", headers)
    assert len(machine.modules(NAME)) == len(before) + 1
    # By the index, as at its boot.
    assert machine.run(["modinfo", "-k", kernel, "-F", "version", "panicast"]).output.strip() == VERSION
    machine.apt("purge", *PACKAGES)
    assert machine.modules() == []


@ON_THE_FIRST
def test_the_key_is_roots_alone(machine: Machine) -> None:
    machine.apt("install", COMMON)
    key = "0123456789abcdef" * 4
    file, waits = "/etc/panicast/key", "/etc/modprobe.d/panicast-key.conf"

    def give(line: str):
        return machine.run(["sh", "-c", f"echo '{line}' | panicast-ctl key"], check=False)

    def doctor() -> str:
        return machine.run(["panicast-ctl", "doctor"], check=False).output

    said = give(f"7 {key}")
    assert (said.code, key in said.output) == (0, False)
    assert machine.run(["stat", "-c", "%a %U", file]).output.split() == ["600", "root"]
    assert machine.read(file).decode() == f"7 {key}\n"
    # What initramfs makers copy.
    assert "options panicast key=wait\n" in machine.read(waits).decode()
    assert machine.run(["grep", "-rlF", key, "/etc"]).output.split() == [file]
    for wrong in ("", key, f"0 {key}", f"256 {key}", f"7 {key}0", f"7 {key[:-1]}g", f"7 {key} more"):
        assert give(wrong).code == 2
    assert key in machine.read(file).decode()

    assert "read the key" not in doctor()
    machine.run(["chmod", "644", file])
    assert f"others may read the key in {file}" in doctor()
    machine.run(["chmod", "600", file])

    # As older versions wrote it: an initramfs that was made after the key was given holds it.
    machine.write({"panicast-key.conf": f"options panicast key_id=7 key={key}\n".encode()}, "/etc/modprobe.d")
    machine.run(
        ["sh", "-c", f"chmod 600 {waits}; touch /boot/initrd.img-new; chmod 644 /boot/initrd.img-new"]
    )
    said = doctor()
    assert f"the key is in {waits}, which initramfs tools copy" in said
    assert f"others may read /boot/initrd.img-new, which holds a copy of the key in {waits}" in said
    machine.run(["rm", "/boot/initrd.img-new"])

    machine.apt("purge", *PACKAGES)
    for path in (file, waits):
        assert machine.run(["test", "-e", path], check=False).code == 1


@ON_THE_FIRST
def test_missing_headers_are_said_loudly(machine: Machine) -> None:
    machine.apt("purge", "linux-headers-*")
    machine.run(["mkdir", "-p", "/lib/modules/6.1.0-99-amd64/kernel"])
    said = machine.apt("install", DKMS).output
    assert machine.modules() == []
    assert "NOT BUILT" in said
    assert "apt install linux-headers-6.1.0-99-amd64" in said


@ON_THE_FIRST
def test_no_kernel_at_all_is_said_too(machine: Machine, distro: DebDistro) -> None:
    machine.apt("purge", "linux-headers-*")
    machine.run(["rm", "-rf", "/lib/modules"])
    said = machine.apt("install", DKMS).output
    assert "NOT BUILT" in said
    assert f"apt install {distro.kernel_headers}" in said


@ON_THE_FIRST
def test_module_that_does_not_compile_fails_the_installation(machine: Machine) -> None:
    machine.run(["dpkg-deb", "-R", *deb_of(machine), "/tmp/unpacked"])
    machine.write({"main.c": b"#error as a test\n"}, f"/tmp/unpacked/usr/src/panicast-{VERSION}")
    machine.run(["dpkg-deb", "-b", "/tmp/unpacked", "/tmp/broken.deb"])
    result = machine.apt("install", "/tmp/broken.deb", check=False)
    assert result.code != 0
    assert "Bad return status" in result.output
    assert machine.modules() == []


def deb_of(machine: Machine) -> list[str]:
    return machine.run(["find", "/repo", "-name", "panicast-dkms_*"]).output.split()


HEADERS = [f"linux-headers{flavour}-amd64" for flavour in ("", "-cloud", "-rt")]
# A package without contents, of that name.
STUB = """
mkdir -p /root/$0/DEBIAN
printf '%s\\n' "Package: $0" 'Version: 1' 'Architecture: amd64' 'Maintainer: x <x@y.z>' 'Description: x' \\
    > /root/$0/DEBIAN/control
dpkg-deb -b /root/$0 /repo
"""


def test_headers_of_another_flavour_are_enough(first_machine: Machine) -> None:
    """apt brings those of the usual kernel only to a machine that has none."""
    machine = first_machine
    machine.run(
        ["sh", "-c", "dpkg --purge --force-depends $(dpkg-query -W -f '${Package}\\n' 'linux-headers-*')"]
    )
    for name in HEADERS:
        machine.run(["sh", "-c", STUB, name])
    machine.add([])
    asked = ["apt-get", "-s", "--install-recommends", "install", DKMS]
    assert re.findall("^Inst (linux-headers\\S+)", machine.run(asked).output, re.M) == HEADERS[:1]
    for name in HEADERS:
        machine.apt("install", name)
        assert "Inst linux-headers" not in machine.run(asked).output, name
        machine.apt("purge", name)


def test_dkms_leaves_a_kernel_alone_that_is_too_old(first_machine: Machine, first_distro: DebDistro) -> None:
    machine = first_machine
    machine.run(["sh", "-c", "cd /lib/modules && mkdir 5.9.0-1-amd64 && cp -a [6-9]*/build 5.9.0-1-amd64"])
    machine.apt("install", DKMS)
    said = machine.run(["dkms", "install", f"panicast/{VERSION}", "-k", "5.9.0-1-amd64"], check=False)
    assert said.code == 77 and "BUILD_EXCLUSIVE" in said.output, said.output
    # At an update of that kernel: Debian 12's dkms 3.0 takes it for a failure of the module's.
    said = machine.run(["dkms", "autoinstall", "-k", "5.9.0-1-amd64"], check=False)
    assert said.code == (11 if first_distro.name == "debian-12" else 0), said.output
    assert not [path for path in machine.modules() if "/5.9.0-1-amd64/" in path]
