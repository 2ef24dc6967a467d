# SPDX-License-Identifier: GPL-2.0-or-later
"""What crash guests of one distro boot from: its stock kernel, busybox, and modules, ours among them."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import docker

from panicast_build import images, progress, source
from panicast_build.container import Container
from panicast_build.distros import Distro
from panicast_build.paths import CACHE, LOGS

FOLDER = CACHE / "crash"
# Our modules: name -> where its source lies in the tree. LKDTM is in the container image.
OURS = {"panicast": "kmod", "pc_crash": "tests/smoke/pc_crash"}
# The guest's driver for each QEMU model of a network card.
DRIVERS = {
    "virtio-net-pci": ("virtio_pci", "virtio_net"),
    "e1000": ("e1000",),
    "e1000e": ("e1000e",),
    "rtl8139": ("8139cp",),
    "vmxnet3": ("vmxnet3",),
}


@dataclass(frozen=True)
class Kit:
    """A folder with vmlinuz, busybox, our modules and, by network card, NIC.order: modules to load."""

    folder: Path
    release: str

    def drivers(self, nic: str) -> list[Path]:
        """The modules of a card, in the order in which they load."""
        return [self.folder / name for name in (self.folder / f"{nic}.order").read_text().split()]


def kit(client: docker.DockerClient, distro: Distro) -> Kit:
    """The kit of a distro, cached by all that goes into it. BuildError with its log where a module does not
    compile."""
    arguments = {
        "KERNEL": distro.kernel,
        "KERNEL_HEADERS": distro.kernel_headers,
        "KERNEL_IMAGE": distro.kernel_image,
    }
    tag = images.build(client, distro, "crash-deb", buildargs=arguments)
    sources = {
        f"{module}/{name}": path
        for module, folder in OURS.items()
        for name, path in source.files(folder).items()
    }
    contents = [[name, hashlib.sha256(path.read_bytes()).hexdigest()] for name, path in sources.items()]
    folder = FOLDER / f"{distro.name}-{images.digest([tag, contents])}"
    if not folder.exists():
        _make(client, tag, sources, folder)
        for stale in set(FOLDER.glob(f"{distro.name}-*")) - {folder}:
            shutil.rmtree(stale)
    return Kit(folder, (folder / "release").read_text().strip())


def _make(client: docker.DockerClient, tag: str, sources: dict[str, Path], folder: Path) -> None:
    """Fills folder, beside it first."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"crash-{folder.name}.log"
    part = Path(tempfile.mkdtemp(dir=FOLDER, prefix="part-"))
    try:
        with (
            progress.step("building the modules that crash and report", log=log_path),
            log_path.open("w") as log,
            Container(client, tag) as box,
        ):
            release = box.run(["ls", "/lib/modules"]).output.strip()
            box.run(["mkdir", "/build", "/build/kit"])
            box.write(sources, "/build")
            for module in OURS:
                make = ["make", "-C", f"/lib/modules/{release}/build", f"M=/build/{module}", "modules"]
                box.run(make, log=log)
            built = [*(f"/build/{module}/{module}.ko" for module in OURS), "/opt/lkdtm/lkdtm.ko"]
            orders = {nic: _order(box, release, drivers) for nic, drivers in DRIVERS.items()}
            needed = {ko for order in orders.values() for ko in order}
            box.run(["cp", "/bin/busybox", *built, *sorted(needed), "/build/kit"], log=log)
            box.run(["cp", f"/boot/vmlinuz-{release}", "/build/kit/vmlinuz"], log=log)
            box.get("/build/kit", part)
        for packed in part.glob("*.ko.xz"):
            packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
            packed.unlink()
        for nic, order in orders.items():
            (part / f"{nic}.order").write_text("\n".join(Path(ko.removesuffix(".xz")).name for ko in order))
        (part / "release").write_text(release)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _order(box: Container, release: str, drivers: tuple[str, ...]) -> list[str]:
    """Paths of the modules that drivers need, in the order in which they load."""
    order: list[str] = []
    for driver in drivers:
        # "insmod /path" for each, the driver itself last; "builtin NAME" for what needs no loading.
        shown = box.run(["modprobe", "--set-version", release, "--show-depends", driver]).output
        order += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
    return list(dict.fromkeys(order))
