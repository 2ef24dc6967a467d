# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose firmware enforces Secure Boot, the signed chain by which a Debian server boots on
it (firmware, shim, GRUB, kernel), and the keys that its owner has enrolled with shim (MOK)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import docker
from virt.firmware.varstore.edk2 import Edk2VarStore

from panicast_build.core import files, tools
from panicast_build.core.errors import UserError
from panicast_build.core.run import run
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.smoke.image import GuestImage, image_folder
from panicast_build.smoke.vm import Firmware
from panicast_build.targets.distros import Distro

MIB = 2**20
SECTOR = 512
# Where the partition begins, and what is left of the disk behind it for the second partition table.
START_MIB, END_MIB, SLACK_MIB = 1, 1, 8
# The GPT type of an EFI system partition.
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
# Who owns a key in a firmware's list: any GUID will do, this one is of nobody else.
OWNER = "6f4e2b0a-7c1d-4f53-9a86-70616e696361"
# What shim calls the list of its owner's keys.
MOK_LIST = "MokList"
# Where Debian's signed GRUB looks for its configuration.
GRUB_FOLDER = "EFI/debian"
# Where a firmware looks on a disk that it knows nothing about, and shim for what is beside it.
BOOT_FOLDER = "EFI/BOOT"


def chain(client: docker.DockerClient, distro: Distro) -> Path:
    """Returns the folder of the firmware (code.fd, vars.fd with Microsoft's keys; plain-code.fd,
    plain-vars.fd without Secure Boot) and the signed loaders (shimx64.efi, mmx64.efi, grubx64.efi),
    from the distro's own packages. Cached: do not write to it.

    Raises UserError for a distro whose loaders are not Debian's.
    """
    if not distro.image.startswith("debian:"):
        raise UserError(
            f"the signed loaders of {distro.name} are not Debian's", "name a Debian: --distro debian-12"
        )
    tag = images.build(client, distro, "uefi")

    def fill(part: Path) -> None:
        with Container(client, tag) as box:
            box.get("/uefi", part)

    return files.cached(image_folder(tag), fill)


def grub_cfg(append: str) -> str:
    """Returns GRUB's configuration: it boots the kernel beside it at once, with this command line."""
    return f"set timeout=0\nlinux /vmlinuz {append}\ninitrd /initrd.img\nboot\n"


def firmware(loaders: Path, image: GuestImage, append: str, folder: Path) -> Firmware:
    """Returns the firmware of a machine as delivered, and the system partition that boots image's
    kernel with append as its command line, both in folder. loaders is what chain() returned."""
    made = Firmware(loaders / "code.fd", folder / "vars.fd", folder / "esp.img")
    shutil.copyfile(loaders / "vars.fd", made.variables)
    tools.need("mformat", "mcopy", "sfdisk")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        tree = Path(name)
        for place in (GRUB_FOLDER, BOOT_FOLDER):
            (tree / place).mkdir(parents=True)
        shutil.copyfile(loaders / "shimx64.efi", tree / BOOT_FOLDER / "BOOTX64.EFI")
        for loader in ("grubx64.efi", "mmx64.efi"):
            shutil.copyfile(loaders / loader, tree / BOOT_FOLDER / loader)
        (tree / GRUB_FOLDER / "grub.cfg").write_text(grub_cfg(append))
        shutil.copyfile(image.kernel, tree / "vmlinuz")
        shutil.copyfile(image.initrd, tree / "initrd.img")
        _partition(tree, made.esp)
    return made


def _partition(tree: Path, disk: Path) -> None:
    """Writes a disk whose one partition is an EFI system partition that holds tree."""
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // MIB + SLACK_MIB
    with disk.open("wb") as file:
        file.truncate((START_MIB + size + END_MIB) * MIB)
    table = f"label: gpt\nstart={START_MIB}MiB, size={size}MiB, type={ESP_TYPE}\n"
    run([tools.find("sfdisk") or "sfdisk", "--quiet", disk], input=table)
    image = f"{disk}@@{START_MIB}M"
    run([tools.find("mformat") or "mformat", "-i", image, "-T", str(size * MIB // SECTOR), "::"])
    run([tools.find("mcopy") or "mcopy", "-i", image, "-s", *sorted(tree.iterdir()), "::"])


def enrol(variables: Path, certificates: Sequence[Path]) -> None:
    """Adds certificates (DER or PEM) to the machine owner's keys, as shim's MokManager does at the
    screen. The machine must be off."""
    store = Edk2VarStore(str(variables))
    known = store.get_varlist()
    for certificate in certificates:
        known.add_cert(MOK_LIST, OWNER, str(certificate))
    part = variables.with_name(f"{variables.name}.part")
    store.write_varstore(str(part), known)
    part.replace(variables)
