# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the guests' root: a container image with a kernel and systemd becomes a file system for
QEMU to boot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.core import files, progress
from panicast_build.core.paths import CACHE, LOGS
from panicast_build.core.run import run
from panicast_build.engine.container import Container

FOLDER = CACHE / "smoke"
# What of a container's / belongs to the system itself; the rest is made at boot.
TOPS = "bin boot etc home lib lib64 media mnt opt root sbin srv usr var"
EMPTY = "dev proc run sys tmp"
# Where the folder that is filled is in the container.
OUT = "/guest/out"
# The file system is made a little larger than what it holds, and grows to its disk at the first boot.
SLACK_MIB = 64
DISK_BYTES = 4 * 2**30


@dataclass(frozen=True)
class GuestImage:
    """A root file system, and the kernel and initramfs from it. Cached: open it for reading only."""

    root: Path
    kernel: Path
    initrd: Path

    def beside(self, folder: Path) -> GuestImage:
        """Returns the files of the same names in another folder."""
        return GuestImage(*(folder / path.name for path in (self.root, self.kernel, self.initrd)))


def guest_image(client: docker.DockerClient, tag: str) -> GuestImage:
    """Returns the guests' image made from a container image.

    Cached by the container image's tag, which is a hash of all that goes into it.
    """

    def fill(folder: Path) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        log_path = LOGS / "smoke-image.log"
        with (
            progress.step("making the guests' disk", log=log_path),
            log_path.open("w") as log,
            Container(client, tag, mounts={folder: OUT}) as box,
        ):
            _extract(box, log)

    return _in(files.cached(image_folder(tag), fill))


def prepared_image(
    client: docker.DockerClient,
    tag: str,
    prepare: Callable[[Container], None],
    folder: Path,
    log: TextIO,
    cap_add: Sequence[str] = (),
) -> GuestImage:
    """Returns a guest's own image: a container image in which prepare has worked, with these
    capabilities too, much faster than in an emulated machine. Raises BuildError if a command fails.

    Cached in folder, whose name must be NAME-HASH of all that goes into it.
    """

    def fill(folder: Path) -> None:
        with Container(client, tag, mounts={folder: OUT}, cap_add=cap_add) as box:
            prepare(box)
            _extract(box, log)

    return _in(files.cached(folder, fill))


def copied(image: GuestImage, folder: Path) -> GuestImage:
    """Copies an image into a new folder, for a guest that writes to it, and returns the copy."""
    folder.mkdir()
    run(["cp", "--sparse=always", *(image.root, image.kernel, image.initrd), folder])
    return image.beside(folder)


def image_folder(tag: str) -> Path:
    """Returns where files of a container image are kept that are needed outside of it."""
    return FOLDER / tag.rpartition("/")[2].replace(":", "-")


def _in(folder: Path) -> GuestImage:
    return GuestImage(folder / "root.ext4", folder / "vmlinuz", folder / "initrd.img")


def _extract(box: Container, log: TextIO) -> None:
    """Fills OUT from the container."""
    # Copied without crossing file systems: the engine mounts its own over some places.
    box.run(["mkdir", "-p", "/guest/root", *(f"/guest/root/{name}" for name in EMPTY.split())], log=log)
    box.run(["cp", "-ax", *(f"/{name}" for name in TOPS.split()), "/guest/root"], log=log)
    box.run(["rm", "-f", "/guest/root/etc/hostname", "/guest/root/etc/resolv.conf"], log=log)
    used = int(box.run(["du", "-sm", "/guest/root"], log=log).output.split()[0])
    root, boots = f"{OUT}/root.ext4", ("vmlinuz", "initrd.img")
    make = ["mke2fs", "-q", "-t", "ext4", "-J", "size=16", "-d", "/guest/root", root]
    box.run([*make, f"{used * 9 // 8 + SLACK_MIB}M"], log=log)
    box.run(["truncate", "--size", str(DISK_BYTES), root], log=log)
    box.run(["cp", *(f"/guest/{name}" for name in boots), OUT], log=log)
    # They are root's, and for QEMU, which need not be: to read, and a machine's own disk to write to.
    box.run(["chmod", "a+rw", root, *(f"{OUT}/{name}" for name in boots)], log=log)
