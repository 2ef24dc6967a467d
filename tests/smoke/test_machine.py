# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that cannot run is a failure at once, with QEMU's own words, and leaves no process."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from panicast_build.core import tools
from panicast_build.smoke import vm
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.image import GuestImage

# What QEMU looks for in a kernel: the magic and the version of the boot protocol, at their places.
BOOT_SECTOR = b"HdrS\x02\x02".rjust(0x208, b"\0")


@pytest.fixture
def spec(tmp_path: Path) -> vm.Spec:
    tools.need(vm.QEMU)
    image = GuestImage(tmp_path / "root", tmp_path / "kernel", tmp_path / "initrd")
    for path in (image.root, image.initrd):
        path.write_bytes(bytes(1 << 16))
    image.kernel.write_bytes(BOOT_SECTOR.ljust(1 << 16, b"\0"))
    return vm.Spec(
        name="lonely",
        number=1,
        peer="nobody",
        image=image,
        repository=image.root,
        folder=tmp_path,
        console=tmp_path / "lonely.serial",
        accelerator=vm.TCG,
        memory_mib=64,
    )


def test_qemu_that_ends_is_reported_with_its_words(spec: vm.Spec, tmp_path: Path) -> None:
    spec.image.initrd.unlink()
    with (
        pytest.raises(SmokeFailure, match=r"lonely: QEMU ended with exit code 1 .*initrd"),
        vm.Machine(spec, tmp_path) as machine,
    ):
        while True:
            machine.check()


def test_no_process_is_left(spec: vm.Spec, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), vm.Machine(spec, tmp_path) as machine:
        machine.check()
        raise KeyboardInterrupt
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # Others end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            commands.append(path.read_bytes())
    assert not [command for command in commands if bytes(spec.agent) in command]
