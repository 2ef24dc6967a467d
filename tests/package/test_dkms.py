# SPDX-License-Identifier: GPL-2.0-or-later
"""panicast-dkms through its life on a machine: what is built, what is said, what is left."""

from __future__ import annotations

from panicast_build import evidence, metadata

VERSION = metadata.load().version
CONFIG = "/etc/modprobe.d/panicast.conf"


def modules(machine) -> list[str]:
    return machine.run(["find", "/lib/modules/", "-name", "panicast.ko*"]).output.split()


def test_life(machine, distro) -> None:
    before = machine.files()
    said = machine.apt("install", "panicast-dkms").output
    assert "NOT BUILT" not in said
    (module,) = modules(machine)
    assert machine.run(["modinfo", "-F", "version", module]).output.strip() == VERSION
    assert machine.run(["modinfo", "-F", "license", module]).output.strip() == "GPL"
    assert "installed" in machine.run(["dkms", "status", "panicast"]).output
    assert machine.run(["man", "--where", "panicast-ctl"]).code == 0

    edited = machine.read(CONFIG) + b"options panicast kib=128\n"
    machine.write({"panicast.conf": edited}, "/etc/modprobe.d")
    machine.apt("install", "--reinstall", "panicast-dkms")
    assert modules(machine) == [module]
    assert machine.read(CONFIG) == edited

    machine.apt("remove", "panicast-dkms")
    assert modules(machine) == []
    assert machine.read(CONFIG) == edited

    machine.apt("purge", "panicast-dkms")
    assert machine.files() - before == set()
    evidence.add_life(distro.name, ["panicast-dkms"], machine.built, machine.seen())


def test_the_key_is_roots_alone(machine) -> None:
    machine.apt("install", "panicast-dkms")
    key = "0123456789abcdef" * 4
    file = "/etc/modprobe.d/panicast-key.conf"

    def give(line: str):
        return machine.run(["sh", "-c", f"echo '{line}' | panicast-ctl key"], check=False)

    said = give(f"7 {key}")
    assert (said.code, key in said.output) == (0, False)
    assert machine.run(["stat", "-c", "%a %U", file]).output.split() == ["600", "root"]
    assert f"options panicast key_id=7 key={key}\n" in machine.read(file).decode()
    for wrong in ("", key, f"0 {key}", f"256 {key}", f"7 {key}0", f"7 {key[:-1]}g", f"7 {key} more"):
        assert give(wrong).code == 2
    assert key in machine.read(file).decode()

    assert "read the key" not in machine.run(["panicast-ctl", "doctor"], check=False).output
    machine.run(["chmod", "644", file])
    assert f"others may read the key in {file}" in machine.run(["panicast-ctl", "doctor"], check=False).output

    # An initramfs that was made after the key was given holds it.
    machine.run(["sh", "-c", f"chmod 600 {file}; touch /boot/initrd.img-new; chmod 644 /boot/initrd.img-new"])
    said = machine.run(["panicast-ctl", "doctor"], check=False).output
    assert f"others may read /boot/initrd.img-new, which holds a copy of the key in {file}" in said
    machine.run(["rm", "/boot/initrd.img-new"])

    machine.apt("purge", "panicast-dkms")
    assert machine.run(["test", "-e", file], check=False).code == 1


def test_missing_headers_are_said_loudly(machine) -> None:
    machine.apt("purge", "linux-headers-*")
    machine.run(["mkdir", "-p", "/lib/modules/6.1.0-99-amd64/kernel"])
    said = machine.apt("install", "panicast-dkms").output
    assert modules(machine) == []
    assert "NOT BUILT" in said
    assert "apt install linux-headers-6.1.0-99-amd64" in said


def test_no_kernel_at_all_is_said_too(machine, distro) -> None:
    machine.apt("purge", "linux-headers-*")
    machine.run(["rm", "-rf", "/lib/modules"])
    said = machine.apt("install", "panicast-dkms").output
    assert "NOT BUILT" in said
    assert f"apt install {distro.kernel_headers}" in said


def test_module_that_does_not_compile_fails_the_installation(machine) -> None:
    machine.run(["dpkg-deb", "-R", *deb_of(machine), "/tmp/unpacked"])
    machine.write({"main.c": b"#error as a test\n"}, f"/tmp/unpacked/usr/src/panicast-{VERSION}")
    machine.run(["dpkg-deb", "-b", "/tmp/unpacked", "/tmp/broken.deb"])
    result = machine.apt("install", "/tmp/broken.deb", check=False)
    assert result.code != 0
    assert "Bad return status" in result.output
    assert modules(machine) == []


def deb_of(machine) -> list[str]:
    return machine.run(["find", "/repo", "-name", "panicast-dkms_*"]).output.split()
