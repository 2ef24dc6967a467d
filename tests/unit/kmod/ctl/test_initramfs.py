# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl initramfs` switches, and when it rebuilds the images."""

from __future__ import annotations

import json
import os

import pytest

from ..made_up import MODULE, Machine
from .conftest import KEY, KEY_FILE

SWITCH = "etc/panicast/initramfs"
CONF = "etc/modprobe.d/panicast.conf"
MAKERS = {"update-initramfs": "-u -k all\n", "dracut": "--regenerate-all --force\n"}


def makes(machine: Machine, maker: str) -> None:
    """The machine has a command that makes images, and a folder for them."""
    machine.load()
    machine.command("ip", "")
    (machine.root / "boot").mkdir(exist_ok=True)
    machine.command(maker, f'echo "$*" >> {machine.root}/asked; [ ! -e {machine.root}/full ]')


@pytest.mark.parametrize("maker", MAKERS)
def test_the_images_are_made_anew(machine: Machine, maker: str) -> None:
    makes(machine, maker)
    assert machine.ctl("initramfs", "rebuild").code == 0 and not (machine.root / "asked").exists()
    said = machine.ctl("initramfs", "on")
    assert said.code == 0 and machine.read("asked") == MAKERS[maker] and (machine.root / SWITCH).exists()
    assert "made with panicast" in machine.ctl("initramfs").output
    assert json.loads(machine.ctl("status", "--json").output)["initramfs"] is True
    assert machine.ctl("initramfs", "rebuild").code == 0 and machine.read("asked") == 2 * MAKERS[maker]
    assert machine.ctl("initramfs", "off").code == 0 and machine.read("asked") == 3 * MAKERS[maker]
    assert not list((machine.root / SWITCH).parent.glob("initramfs*"))
    said = machine.ctl("initramfs", "off")
    assert said.code == 1 and "off already" in said.output and machine.read("asked") == 3 * MAKERS[maker]


def test_where_two_make_images_one_is_asked(machine: Machine) -> None:
    for maker in MAKERS:
        makes(machine, maker)
    assert machine.ctl("initramfs", "on").code == 0
    assert machine.read("asked") == MAKERS["update-initramfs"]


def test_the_switch_stays_as_it_was_when_images_cannot_be_made(machine: Machine) -> None:
    makes(machine, "dracut")
    full = machine.write("full", "")
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "not all images were rebuilt" in said.output
    assert not (machine.root / SWITCH).exists()
    full.unlink()
    assert machine.ctl("initramfs", "on").code == 0
    machine.write("full", "")
    assert machine.ctl("initramfs", "off").code == 1 and (machine.root / SWITCH).exists()
    assert machine.ctl("initramfs", "on").code == 1 and (machine.root / SWITCH).exists()


def test_a_key_goes_into_no_image(machine: Machine) -> None:
    makes(machine, "dracut")
    machine.write(KEY_FILE, f"7 {KEY}\n").chmod(0o600)
    machine.write(f"{MODULE}/state/key_id", "7\n")
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "no key goes into an image" in said.output
    assert not (machine.root / SWITCH).exists() and not (machine.root / "asked").exists()
    machine.write(SWITCH, "")
    said = machine.ctl("doctor")
    assert said.code == 1 and "[initramfs-sealed]" in said.output
    assert "sudo panicast-ctl initramfs off" in said.output


def test_a_new_key_takes_the_module_out_of_the_images(machine: Machine) -> None:
    makes(machine, "dracut")
    machine.write(f"{MODULE}/parameters/key", "")
    (machine.root / "etc/modprobe.d").mkdir(parents=True)
    assert machine.ctl("initramfs", "on").code == 0
    assert machine.ctl("key", given=f"7 {KEY}\n").code == 0
    assert machine.read("asked") == 2 * MAKERS["dracut"]
    assert machine.ctl("key", given="none\n").code == 0
    assert machine.read("asked") == 3 * MAKERS["dracut"]


def test_an_image_with_the_settings_of_before(machine: Machine) -> None:
    makes(machine, "dracut")
    assert machine.ctl("initramfs", "on").code == 0
    conf = machine.write(CONF, "options panicast kib=16\n")
    image = machine.write(f"boot/initramfs-{os.uname().release}.img", "")
    os.utime(conf, (1000, 1000))
    assert "[initramfs-old]" not in machine.ctl("doctor").output
    os.utime(image, (900, 900))
    said = machine.ctl("doctor").output
    assert "[initramfs-old]" in said and "sudo panicast-ctl initramfs on" in said


def test_what_no_image_can_be_made_without(machine: Machine) -> None:
    machine.load()
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "install initramfs-tools or dracut" in said.output
    machine.command("dracut", "")
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "ip is missing" in said.output
    assert not (machine.root / SWITCH).exists()
    assert machine.ctl("initramfs", "sometimes").code == 2
