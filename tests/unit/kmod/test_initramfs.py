# SPDX-License-Identifier: GPL-2.0-or-later
"""What the hooks find on a machine to put into an initramfs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .made_up import DIST

BUS = "sys/devices/pci0000:00/0000:00:03.0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with a virtio card, one behind USB, one without wires, and a bridge."""
    devices = {
        "eth0": f"{BUS}/virtio0",
        "usb0": "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0",
        "wlan0": "sys/devices/pci0000:00/0000:00:05.0",
    }
    drivers = {f"{BUS}/virtio0": "virtio_net", BUS: "virtio_pci", devices["usb0"]: "cdc_ether"}
    for card, device in devices.items():
        (tmp_path / device).mkdir(parents=True)
        link = tmp_path / "sys/class/net" / card / "device"
        link.parent.mkdir(parents=True)
        link.symlink_to(tmp_path / device)
    (tmp_path / "sys/class/net/wlan0/wireless").mkdir()
    (tmp_path / "sys/class/net/br0").mkdir()
    (tmp_path / "sys/class/net/br0/lower_eth0").symlink_to("../eth0")
    for device, module in drivers.items():
        (tmp_path / "sys/module" / module).mkdir(parents=True)
        (tmp_path / device / "driver").mkdir()
        (tmp_path / device / "driver/module").symlink_to(tmp_path / "sys/module" / module)
    return tmp_path


def ask(root: Path, command: str) -> str:
    """What a function of the hooks says there."""
    text = (DIST / "initramfs/contents.sh").read_text()
    for place in ("/sys/", "/sys}", "/etc/"):
        text = text.replace(place, f"{root}{place}")
    argv = ["sh", "-ec", f"{text}\n{command}"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_the_drivers_of_cards_and_of_what_they_are_connected_by(root: Path) -> None:
    assert ask(root, "panicast_modules").split() == ["panicast", "virtio_net", "virtio_pci"]
    armed = root / "sys/module/panicast/state/armed"
    armed.parent.mkdir(parents=True)
    armed.write_text("usb0\n")
    unarmed = armed.with_name("unarmed")
    unarmed.write_text("wlan0: wireless\neth0: down\n")
    assert ask(root, "panicast_modules").split() == ["panicast", "cdc_ether"]
    # Without a cable today.
    unarmed.write_text("wlan0: wireless\neth0: no link\n")
    assert ask(root, "panicast_modules").split() == ["panicast", "cdc_ether", "virtio_net", "virtio_pci"]
    # What is below a bridge; and nothing sends at all.
    unarmed.write_text("")
    for names in ("br0\n", ""):
        armed.write_text(names)
        assert ask(root, "panicast_modules").split() == ["panicast", "virtio_net", "virtio_pci"]


def test_links_come_up_by_where_the_card_is(root: Path) -> None:
    assert ask(root, "panicast_rule /usr/sbin/ip") == (
        'ACTION=="add", SUBSYSTEM=="net", DEVPATH=="/devices/pci0000:00/0000:00:03.0/virtio*/net/*", '
        'RUN+="/usr/sbin/ip link set dev $name up"\n'
    )


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("", ""),
        ("ip", "ip is missing"),
        ("hook-functions", "goes without it"),
        ("copy_exec", "goes without it"),
    ],
)
def test_an_image_is_made_whatever_goes_wrong_in_the_hook(root: Path, missing: str, says: str) -> None:
    """A kernel's update ends with it: dpkg would stop there."""
    functions = root / "usr/share/initramfs-tools/hook-functions"
    functions.parent.mkdir(parents=True)
    if missing != "hook-functions":
        functions.write_text(
            "manual_add_modules() { :; }\ncopy_exec() { [ %s != copy_exec ]; }\n" % (missing or 1)
        )
    contents = root / "usr/share/panicast/initramfs/contents.sh"
    contents.parent.mkdir(parents=True)
    contents.write_text((DIST / "initramfs/contents.sh").read_text().replace("/sys/", f"{root}/sys/"))
    (root / "etc/panicast").mkdir(parents=True)
    (root / "etc/panicast/initramfs").touch()
    contents.write_text(contents.read_text().replace("/etc/", f"{root}/etc/"))
    tools = root / "bin"
    tools.mkdir()
    for name in ("sh", "sed", "sort", "cat", "readlink", "basename", "mkdir", "rm", "grep", "ip"):
        if name != missing:
            (tools / name).symlink_to(str(shutil.which(name) or "/bin/true"))
    script = (DIST / "initramfs/hook").read_text().replace("/usr/share/", f"{root}/usr/share/")
    argv = ["/bin/sh", "-c", script, "hook"]
    env = {"PATH": str(tools), "DESTDIR": str(root / "image")}
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert says in ran.stderr and bool(ran.stderr) == bool(says)
    rule = root / "image/lib/udev/rules.d/90-panicast.rules"
    assert rule.exists() == (not missing)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ({}, ""),
        ({"panicast/initramfs": ""}, "y"),
        ({"panicast/initramfs": "", "panicast/key": ""}, ""),
        ({"panicast/initramfs": "", "modprobe.d/old.conf": "options panicast kib=3 key=00ff\n"}, ""),
        ({"panicast/initramfs": "", "modprobe.d/panicast-key.conf": "options panicast key=wait\n"}, ""),
        (
            {
                "panicast/initramfs": "",
                "modprobe.d/none.conf": "#options panicast key=\noptions other key=1\n",
            },
            "y",
        ),
    ],
)
def test_it_is_wanted_where_it_was_asked_for_and_nothing_is_sealed(
    root: Path, there: dict[str, str], wanted: str
) -> None:
    for name, text in there.items():
        file = root / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert ask(root, "! panicast_wanted || printf y") == wanted
    for kdump in ("IN_KDUMP=1", "CONFDIR=/var/lib/kdump/initramfs-tools"):
        assert ask(root, f"{kdump}; ! panicast_wanted || printf y") == ""
