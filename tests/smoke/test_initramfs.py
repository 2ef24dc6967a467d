# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash before the root is mounted is heard, with the images of both makers."""

from __future__ import annotations

from socket import AF_INET, inet_ntop

import docker
import pytest

from panicast_build.build import source
from panicast_build.core import tools
from panicast_build.crash import guest, verdict
from panicast_build.crash.cases import Case
from panicast_build.crash.kit import image, kit
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.smoke import vm
from panicast_build.targets import kernels

from ..nightly import rows

# What is on the command line has the last word.
EARLY = Case(
    name="initramfs",
    append="root=/dev/vda rootfstype=ext4 panicast.tag=early panicast.dest=10.9.0.9",
    # dracut's boots for a minute where others use the CPU too.
    life=900,
    record="any",
)
SHARED = "/usr/share/panicast/initramfs"
MAKERS = {
    "initramfs-tools": ["mkinitramfs", "-o", "/image", "{release}"],
    "dracut": [
        *("dracut", "--force", "--kver", "{release}", "--no-hostonly", "--modules"),
        *("bash base rootfs-block udev-rules panicast", "--include", "/crash.sh"),
        *("/lib/dracut/hooks/initqueue/settled/99-crash.sh", "/image"),
    ],
}
CRASH = """
until read -r _ </sys/module/panicast/state/armed; do sleep 1; done 2>/dev/null
echo c >/proc/sysrq-trigger
"""
# The container's machine is not the guest's: QEMU puts its first card into one of these places.
MACHINE = """
set -e
for slot in 2 3; do
    bus=/fake/sys/devices/pci0000:00/0000:00:0$slot.0
    mkdir -p $bus/virtio0/driver $bus/driver /fake/sys/module/virtio_net /fake/sys/module/virtio_pci
    mkdir -p /fake/sys/class/net/eth$slot
    ln -s /fake/sys/module/virtio_net $bus/virtio0/driver/module
    ln -s /fake/sys/module/virtio_pci $bus/driver/module
    ln -s $bus/virtio0 /fake/sys/class/net/eth$slot/device
done
depmod $1
echo MODULES=list > /etc/initramfs-tools/conf.d/modules
mkdir -p /usr/share/initramfs-tools/scripts/local-top /etc/panicast
chmod 755 /usr/share/initramfs-tools/*/panicast /usr/share/initramfs-tools/scripts/init-top/panicast
chmod 755 /usr/lib/dracut/modules.d/45panicast/*.sh
script=/usr/share/initramfs-tools/scripts/local-top/crash
(echo '#!/bin/sh'; echo '[ "$1" != prereqs ] || exit 0'; cat /crash.sh) > $script
chmod 755 $script
"""


def lists(box: Container, maker: str) -> str:
    """Returns the names of the files in the image that a maker made, and takes it away. dracut makes none
    if a module that was asked for does not want to be in it."""
    lister = {"dracut": "lsinitrd"}.get(maker, "lsinitramfs")
    return box.run(["sh", "-c", f"! [ -e /image ] || {lister} /image; mv /image /listed"], check=False).output


@pytest.mark.parametrize("maker", rows({name: (name,) for name in MAKERS}, ["initramfs-tools"]))
def test_a_crash_before_the_root_is_mounted_is_heard(client: docker.DockerClient, maker: str) -> None:
    tools.need(vm.QEMU, "setpriv")
    kernel = kernels.load()["6.1"]
    made = kit(client, kernel)
    tag = images.build(client, kernel, "crash-initramfs", parent=image(client, kernel))
    parts = {name: path.read_bytes() for name, path in source.files("kmod/dist/initramfs").items()}
    shared = parts["contents.sh"].replace(b"/sys/", b"/fake/sys/").replace(b"/sys}", b"/fake/sys}")
    dracut = "usr/lib/dracut/modules.d/45panicast"
    files = {
        "crash.sh": CRASH.encode(),
        "usr/share/initramfs-tools/hooks/panicast": parts["hook"],
        f"{SHARED[1:]}/contents.sh": shared,
        "usr/share/initramfs-tools/scripts/init-top/panicast": parts["init-top"],
        f"{dracut}/module-setup.sh": parts["dracut/module-setup.sh"],
        f"{dracut}/load.sh": parts["dracut/load.sh"],
        "usr/lib/dracut/dracut.conf.d/panicast.conf": parts["dracut/omit.conf"],
        "etc/modprobe.d/panicast.conf": b"options panicast kib=16 tag=late\n",
        f"lib/modules/{made.release}/updates/panicast.ko": (made.folder / "panicast.ko").read_bytes(),
    }
    make = [word.format(release=made.release) for word in MAKERS[maker]]
    with Container(client, tag) as box:
        box.write(files, "/")
        box.run(["sh", "-c", MACHINE, "sh", made.release])
        # Only if it was asked for, and never beside a key.
        for kept in ([], ["/etc/panicast/initramfs", "/etc/panicast/key"]):
            box.run(["touch", "/etc/panicast/accepted", *kept])
            box.run(make, check=False)
            assert "panicast.ko" not in lists(box, maker)
        box.run(["rm", "/etc/panicast/key"])
        box.run(make)
        assert "panicast.ko" in lists(box, maker)
        initrd = box.read("/listed")
        # kdump has an image of its own.
        as_kdump = {"dracut": "IN_KDUMP=1 "}.get(maker, "cp -r /etc/initramfs-tools /var/lib/kdump; ")
        words = " ".join(f"'{word}'" for word in make)
        if maker != "dracut":
            words = words.replace("'mkinitramfs'", "mkinitramfs -d /var/lib/kdump")
        box.run(["sh", "-c", as_kdump + words], check=False)
        assert "panicast.ko" not in lists(box, maker)
    outcome = guest.with_initrd(made, "virtio-net-pci", EARLY, initrd)
    found = [one for one in verdict.records(outcome.frames) if one.type == "panic"]
    assert [one.complete for one in found] == [True] and outcome.rebooted, str(outcome)
    (record,) = found
    assert record.reason == "sysrq triggered crash" and record.meta["tag"] == "early"
    assert record.text_length <= 16 << 10
    sent = {inet_ntop(AF_INET, packet.dst) for packet in verdict.ip_packets(outcome.frames)}
    assert "10.9.0.9" in sent, sent
