# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of a guest, and the waits."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import pytest

from panicast_build.smoke import report, vm
from panicast_build.smoke.booted import continued
from panicast_build.smoke.failure import SmokeFailure, wait_for
from panicast_build.smoke.image import GuestImage

SPEC = vm.Spec(
    name="server",
    number=1,
    peer="log-host",
    image=GuestImage(Path("/c/root.ext4"), Path("/c/vmlinuz"), Path("/c/initrd.img")),
    repository=Path("/r/repository.ext4"),
    folder=Path("/r"),
    console=Path("/l/server.serial"),
    accelerator=vm.TCG,
)


def values(argv: list[str], option: str) -> list[str]:
    return [value for key, value in pairwise(argv) if key == option]


def test_a_crash_resets_the_guest_and_a_panic_does_not_stop_it() -> None:
    argv = vm.qemu_argv(SPEC)
    assert "-no-reboot" not in argv and not [word for word in argv if "pvpanic" in word]
    assert values(argv, "-action") == ["panic=none"]
    (append,) = values(argv, "-append")
    assert "panic=-1" in append.split() and "systemd.hostname=server" in append.split()


def test_cached_disks_are_never_written() -> None:
    drives = values(vm.qemu_argv(SPEC), "-drive")
    assert len(drives) == 2 and all("snapshot=on" in drive.split(",") for drive in drives)


def test_a_guest_that_has_booted_continues_and_leaves_its_kept_disk_alone() -> None:
    argv = vm.qemu_argv(replace(SPEC, memory=Path("/b/memory")))
    assert values(argv, "-incoming") == ["exec:cat /b/memory"] and "-incoming" not in vm.qemu_argv(SPEC)
    assert values(argv, "-drive") == values(vm.qemu_argv(SPEC), "-drive")


def test_only_an_emulated_guest_is_kept(tmp_path: Path) -> None:
    spec = replace(SPEC, accelerator=vm.KVM)
    with (tmp_path / "transcript").open("w") as transcript:
        assert continued(spec, transcript) is spec


def test_a_machine_with_firmware_boots_from_its_disk_only() -> None:
    firmware = vm.Firmware(Path("/f/code.fd"), Path("/f/vars.fd"), Path("/f/esp.img"))
    argv = vm.qemu_argv(replace(SPEC, firmware=firmware))
    assert not {"-kernel", "-initrd", "-append"} & set(argv)
    assert "if=pflash,unit=0,format=raw,readonly=on,file=/f/code.fd" in argv
    assert "driver=cfi.pflash01,property=secure,value=on" in argv and "q35,smm=on" in argv


def test_two_guests_share_one_wire() -> None:
    ends = []
    for spec in (SPEC, replace(SPEC, name="log-host", number=2, peer="server")):
        (segment,) = values(vm.qemu_argv(spec), "-netdev")
        fields = dict(field.partition("=")[::2] for field in segment.split(","))
        ends.append((fields["local.path"], fields["remote.path"]))
    assert ends[0] == ends[1][::-1]


def test_the_network_card_is_a_choice() -> None:
    devices = values(vm.qemu_argv(replace(SPEC, nic="e1000")), "-device")
    assert "e1000,netdev=segment,mac=52:54:00:66:00:01" in devices


def test_a_wait_returns_what_came() -> None:
    answers = iter([None, "", "here"])
    assert wait_for("it", 10, lambda: next(answers), pause=lambda _: None) == "here"


def test_a_wait_is_bounded_and_says_for_what() -> None:
    clock = count()
    with pytest.raises(SmokeFailure, match="waited 5 s in vain for a sign"):
        wait_for("a sign", 5, lambda: None, pause=lambda _: None, clock=lambda: next(clock))


def test_console_lines_are_shown_without_their_colours() -> None:
    assert report.printable("[\x1b[0;32m  OK  \x1b[0m] Reached\x07 target\r") == "[  OK  ] Reached target"
