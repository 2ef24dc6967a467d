# SPDX-License-Identifier: GPL-2.0-or-later
"""Where `panicast-ctl key` puts a key, and how the module gets it."""

from __future__ import annotations

from ..made_up import MODULE, Machine
from .conftest import KEY, KEY_FILE

WAIT_FILE = "etc/modprobe.d/panicast-key.conf"


def test_the_key_goes_where_no_initramfs_maker_looks_and_into_the_module(machine: Machine) -> None:
    machine.load()
    machine.write("etc/modprobe.d/panicast.conf", "")
    machine.write(f"{MODULE}/parameters/key", "")
    machine.command("systemctl", f'echo "$*" > {machine.root}/asked')
    said = machine.ctl("key", given=f"7 {KEY}\n")
    assert said.code == 0 and KEY not in said.output, said.output
    assert machine.read(KEY_FILE) == machine.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"
    assert (machine.root / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert machine.read(WAIT_FILE).endswith("options panicast key=wait\n") and KEY not in machine.read(
        WAIT_FILE
    )
    assert machine.read("asked") == "-q enable panicast.service\n"

    said = machine.ctl("key", given="none\n")
    assert said.code == 0 and machine.read(f"{MODULE}/parameters/key") == "none\n"
    assert not (machine.root / KEY_FILE).exists() and not (machine.root / WAIT_FILE).exists()


def test_a_key_that_the_module_has_not_got_is_handed_over(machine: Machine) -> None:
    machine.load(armed=(), unarmed="eth0: waits for its key\n")
    assert machine.ctl("key", "load").code == 1
    machine.write(KEY_FILE, f"7 {KEY}\n").chmod(0o600)
    said = machine.ctl("doctor").output
    assert "has a key, but" in said and "sudo panicast-ctl key load" in said and "read the key" not in said
    said = machine.ctl("key", "load")
    assert said.code == 1 and "can take a key only when it loads" in said.output
    machine.write(f"{MODULE}/parameters/key", "")
    assert machine.ctl("key", "load").code == 0 and machine.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"


def test_an_old_key_in_modprobe_d_is_warned_of(machine: Machine) -> None:
    machine.load()
    machine.write(WAIT_FILE, f"options panicast key_id=7 key={KEY}\n").chmod(0o600)
    said = machine.ctl("doctor")
    assert (
        said.code == 1
        and "which initramfs tools copy" in said.output
        and "[key-in-modprobe.d]" in said.output
    )
    machine.write("boot/initrd.img-new", "").chmod(0o644)
    assert "others may read" in machine.ctl("doctor").output


def test_a_reload_hands_the_key_over_whatever_becomes_of_the_settings(loadable: Machine) -> None:
    loadable.write(KEY_FILE, f"7 {KEY}\n").chmod(0o600)
    loadable.write(f"{MODULE}/parameters/key", "")
    assert loadable.ctl("reload").code == 0
    assert loadable.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"
    loadable.write(f"{MODULE}/parameters/key", "")
    loadable.write("wrong", "")
    assert loadable.ctl("reload").code == 1
    assert loadable.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"
    assert "options panicast key=wait\n" in loadable.read("given")
