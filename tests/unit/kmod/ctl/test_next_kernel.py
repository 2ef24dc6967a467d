# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl doctor` says of the kernel that boots next, and which package brings its module."""

from __future__ import annotations

import pytest

from ..made_up import Machine


def test_the_package_that_brings_the_next_kernels_headers(machine: Machine) -> None:
    machine.load()
    here = "image-6.1.0-56-cloud-amd64 headers-6.1.0-56-cloud-amd64 image-cloud-amd64 image-rt headers-rt"
    lines = "".join(f"ii  linux-{name}\\n" for name in here.split())
    machine.command("dpkg-query", f'printf "{lines}un  linux-headers-cloud-amd64\\n"')
    said = machine.ctl("doctor")
    assert said.code == 1 and said.output.count("apt install linux-headers-") == 1
    assert "sudo apt install linux-headers-cloud-amd64" in said.output


@pytest.mark.parametrize(
    ("kernel", "package"),
    [
        ("5.14.0-570.el9.x86_64", "'kernel-devel-uname-r = 5.14.0-570.el9.x86_64'"),
        ("5.14.0-570.el9.x86_64+rt", "'kernel-devel-uname-r = 5.14.0-570.el9.x86_64+rt'"),
        ("5.14.0-570.panicast.el9.x86_64+rt", "'kernel-devel-uname-r = 5.14.0-570.panicast.el9.x86_64+rt'"),
        ("6.12.118-panicast-smoke", "'kernel-devel-uname-r = 6.12.118-panicast_smoke'"),
        ("5.15.0-300.el9uek.x86_64", "kernel-uek-devel-5.15.0-300.el9uek.x86_64"),
    ],
)
def test_an_rpm_kernels_headers_are_asked_for_as_packages_with_modules_ask(
    machine: Machine, kernel: str, package: str
) -> None:
    """Whatever the package is called: kernel-rt-devel, kernel-panicast-devel."""
    machine.write(f"boot/vmlinuz-{kernel}", "")
    machine.write(f"lib/modules/{kernel}/kernel/a", "")
    machine.command("modinfo", "exit 1")
    assert f"sudo dnf install {package}\n" in machine.ctl("doctor", "--next").output


def prebuilt(machine: Machine, *kernels: str) -> None:
    """Kernels in /boot; packages brought the module of the first one, and nothing builds it here."""
    (machine.root / "usr/src/panicast-1.2/dkms.conf").unlink()
    for kernel in kernels:
        machine.write(f"boot/vmlinuz-{kernel}", "")
        machine.write(f"lib/modules/{kernel}/kernel/a", "")
    others = "|".join(f"*-k\\ {kernel}\\ *" for kernel in kernels[1:]) or "none"
    machine.command("modinfo", f'case "$*" in *parm*) cat {machine.root}/parms ;; {others}) exit 1 ;; esac')


@pytest.mark.parametrize(
    ("there", "fix"),
    [
        (("6.1.0-9-amd64", "6.1.0-10-amd64"), "sudo apt install panicast-modules-6.1.0-10-amd64\n"),
        (("6.1.0-10-amd64", "6.1.0-9-amd64"), ""),
        (("6.1.0-10-amd64", "0-rescue-1"), ""),
    ],
)
def test_the_kernel_that_boots_next(machine: Machine, there: tuple[str, ...], fix: str) -> None:
    prebuilt(machine, *there)
    machine.write("etc/debian_version", "12\n")
    said = machine.ctl("doctor", "--next")
    assert "6.1.0-10-amd64" in said.output
    assert (said.code, said.output.endswith(fix)) == (1 if fix else 0, True)
    if fix:
        machine.write("etc/panicast/accepted", "next-kernel\n")
        assert machine.ctl("doctor", "--next").code == 0


def test_grubby_knows_what_boots_next(machine: Machine) -> None:
    prebuilt(machine, "5.14.0-600.el9.x86_64", "5.14.0-70.el9.x86_64")
    machine.command("grubby", "echo /boot/vmlinuz-5.14.0-70.el9.x86_64")
    said = machine.ctl("doctor", "--next")
    assert said.code == 1 and "sudo dnf install kmod-panicast-5.14.0-70.el9.x86_64\n" in said.output


def test_an_unknown_next_boot_is_said(machine: Machine) -> None:
    said = machine.ctl("doctor", "--next")
    assert said.code == 1 and "the next boot is unknown" in said.output
    assert machine.ctl("doctor", "--nxt").code == 2


def test_a_server_without_a_compiler_is_told_of_packages(machine: Machine) -> None:
    prebuilt(machine, "6.1.0-9-amd64", "6.1.0-10-amd64")
    machine.write("etc/debian_version", "12\n")
    machine.load()
    lines = "ii  linux-image-amd64\\nii  panicast-modules-cloud-amd64\\n"
    machine.command("dpkg-query", f'printf "{lines}"')
    said = machine.ctl("doctor")
    assert said.code == 1 and "headers" not in said.output
    assert "sudo apt install panicast-modules-6.1.0-10-amd64\n" in said.output
    assert "sudo apt install panicast-modules-amd64\n" in said.output
    assert "headers" not in machine.ctl("status").output
