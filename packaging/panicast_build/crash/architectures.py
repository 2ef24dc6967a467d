# SPDX-License-Identifier: GPL-2.0-or-later
"""What an architecture needs: cross compiler, emulator, serial line."""

from __future__ import annotations

from dataclasses import dataclass

from panicast_build.smoke import vm


@dataclass(frozen=True)
class Architecture:
    """make holds kbuild's variables, compiler compiles the guests' own programs, machine holds
    QEMU's options, serial is the kernel's name of its first serial line."""

    make: tuple[str, ...]
    compiler: str
    qemu: str
    machine: tuple[str, ...]
    serial: str


# By Debian's names.
ARCHITECTURES = {
    "amd64": Architecture(
        make=(),
        compiler="gcc",
        qemu=vm.QEMU,
        machine=("-machine", "pc", *vm.EMULATED, vm.EMULATED_CPU),
        serial="ttyS0",
    ),
    "arm64": Architecture(
        make=("ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"),
        compiler="aarch64-linux-gnu-gcc",
        qemu="qemu-system-aarch64",
        machine=("-machine", "virt", *vm.EMULATED, "cortex-a72"),
        serial="ttyAMA0",
    ),
}
