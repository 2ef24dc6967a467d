# SPDX-License-Identifier: GPL-2.0-or-later
"""Collects what the crash guests of one kernel boot from: the kernel, busybox, and modules,
panicast's among them."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import docker

from panicast_build.build import source
from panicast_build.core import files, progress
from panicast_build.core.paths import CACHE, LOGS, ROOT
from panicast_build.crash import cases, compiled
from panicast_build.crash.architectures import ARCHITECTURES, Architecture
from panicast_build.crash.cases import Case
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets.kernels import Kernel

FOLDER = CACHE / "crash"
# Our modules: name -> where its source lies in the tree.
OURS = {
    "panicast": "kmod",
    "pc_crash": "tests/smoke/pc_crash",
    "guest_end": "tests/smoke/guest_end",
    "article": "tests/bench/article",
}
# What lies beside the module's source and is not compiled.
SCRIPTS = "dist/"
LKDTM = "lkdtm"  # the kernel's own crash test module
# What every guest has.
OWN = (*(f"{name}.ko" for name in OURS), "panicast_seal.ko", f"{LKDTM}.ko")
# C programs of our own.
COMPILED = tuple(ROOT / "tests" / "smoke" / f"{name}.c" for name in ("load_crash_kernel", "genl", "ppp"))
PROGRAMS = ("busybox", *(path.stem for path in COMPILED))
STRICT = ("W=1", "KCFLAGS=-Werror")


@dataclass(frozen=True)
class Nic:
    """A network card: QEMU's device (a model and its properties), and the modules that drive it.
    locks says that the driver takes locks of its own to send or to poll, see kmod/driver.c."""

    device: str
    drivers: tuple[str, ...]
    locks: bool = False

    @property
    def model(self) -> str:
        """Returns the model alone."""
        return self.device.partition(",")[0]


# Each by the name of its model; a second driver of one is behind it.
NICS = {
    # A bond by 802.3ad does not send on cards that have no speed.
    "virtio-net-pci": Nic("virtio-net-pci,speed=1000,duplex=full", ("virtio_pci", "virtio_net")),
    "e1000": Nic("e1000", ("e1000",)),
    "e1000e": Nic("e1000e", ("e1000e",)),
    "rtl8139": Nic("rtl8139", ("8139cp",), locks=True),
    "rtl8139-8139too": Nic("rtl8139", ("8139too",), locks=True),
    "vmxnet3": Nic("vmxnet3", ("vmxnet3",), locks=True),
    "i82557b": Nic("i82557b", ("e100",), locks=True),
    "pcnet": Nic("pcnet", ("pcnet32",), locks=True),
    "ne2k_pci": Nic("ne2k_pci", ("ne2k-pci",), locks=True),
    "igb": Nic("igb", ("igb",)),
}


@dataclass(frozen=True)
class Kit:
    """The kit of the kernel with this name.

    It is a folder with vmlinuz, programs, our modules and the kernel's modules that guests need.
    orders maps a module's name to the files to load for it, in order. config holds the lines of the
    kernel's .config, append is for its command line, architecture says which machine it needs.
    """

    name: str
    folder: Path
    release: str
    orders: Mapping[str, list[str]]
    config: frozenset[str]
    append: str
    architecture: Architecture

    @cached_property
    def _lkdtm(self) -> bytes:
        return (self.folder / f"{LKDTM}.ko").read_bytes()

    def can(self, case: Case, nic: str) -> bool:
        """Tells whether the kernel can run this case with this card."""
        modules = (*NICS[nic].drivers, *case.modules)
        return (
            all(module in self.orders for module in modules)
            and self.config.issuperset(case.config)
            and (not case.driver or case.driver in NICS[nic].drivers)
            and (not case.where or (self.name, nic) in case.where)
            and all(f"{trigger}\0".encode() in self._lkdtm for trigger in case.triggers)
        )

    def locking(self, nic: str) -> list[str]:
        """Returns the modules of a card's driver, as call traces name them, if they take locks of
        their own."""
        loaded = self.order(*NICS[nic].drivers) if NICS[nic].locks else []
        return [Path(name).stem.replace("-", "_") for name in loaded]

    def order(self, *modules: str) -> list[str]:
        """Returns the files of modules and of what they need, in the order of loading."""
        return list(dict.fromkeys(name for module in modules for name in self.orders[module]))


def kit(client: docker.DockerClient, kernel: Kernel) -> Kit:
    """Returns the kit of a kernel of the table: see of_image()."""
    return of_image(client, kernel.name, image(client, kernel), kernel.append, kernel.arch)


def image(client: docker.DockerClient, kernel: Kernel) -> str:
    """Returns the tag of the container image that has a kernel of the table."""
    arguments = {
        "SERIES": kernel.series,
        "FLAVOUR": kernel.flavour,
        "SUITE": kernel.suite,
        "ARCHIVE": kernel.archive,
    }
    tag = images.build(client, kernel, kernel.recipe, buildargs=arguments)
    return compiled.image(client, kernel, tag) if kernel.source else tag


def of_image(client: docker.DockerClient, name: str, tag: str, append: str = "", arch: str = "amd64") -> Kit:
    """Returns the kit of the kernel in a container image like crash-deb, cached by all that goes
    into it. Raises BuildError with its log if a module does not compile."""
    sources = {
        f"{module}/{file}": path
        for module, folder in OURS.items()
        for file, path in source.files(folder).items()
        if not file.startswith(SCRIPTS)
    }
    sources |= {path.name: path for path in COMPILED}
    architecture = ARCHITECTURES[arch]
    wanted = [LKDTM, *(driver for nic in NICS.values() for driver in nic.drivers), *cases.modules()]
    contents = [wanted] + [
        [file, hashlib.sha256(path.read_bytes()).hexdigest()] for file, path in sources.items()
    ]
    folder = FOLDER / f"{name}-{images.digest([tag, contents])}"
    log_path = LOGS / f"crash-{folder.name}.log"
    files.cached(folder, partial(_make, client, tag, architecture, sources, wanted, log_path))
    orders = json.loads((folder / "orders.json").read_text())
    config = frozenset((folder / "config").read_text().splitlines())
    return Kit(name, folder, (folder / "release").read_text(), orders, config, append, architecture)


def _make(
    client: docker.DockerClient,
    tag: str,
    architecture: Architecture,
    sources: Mapping[str, Path],
    wanted: Iterable[str],
    log_path: Path,
    folder: Path,
) -> None:
    """Fills folder."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (
        progress.step("building the modules for crash guests", log=log_path),
        log_path.open("w") as log,
        Container(client, tag) as box,
    ):
        release = box.run(["ls", "/lib/modules"]).output.strip()
        box.run(["mkdir", "--parents", "/build/kit"])
        box.write(sources, "/build")
        for module in OURS:
            make = [
                "make",
                "-C",
                f"/lib/modules/{release}/build",
                f"M=/build/{module}",
                *architecture.make,
                *STRICT,
                "modules",
            ]
            box.run(make, log=log)
        ours = [*(f"/build/{module}/{module}.ko" for module in OURS), "/build/panicast/panicast_seal.ko"]
        # As DKMS does: a guest with less to unpack boots faster.
        box.run([f"{architecture.compiler.removesuffix('gcc')}strip", "--strip-debug", *ours], log=log)
        programs = [f"/build/{path.stem}" for path in COMPILED]
        for program in programs:
            compile_ = [architecture.compiler, "-static", "-O2", "-Wall", "-Werror", "-o", program]
            box.run([*compile_, f"{program}.c"], log=log)
        built = [*programs, *ours, "/opt/vmlinuz"]
        orders = _orders(box, release, wanted)
        needed = {ko for order in orders.values() for ko in order}
        box.run(["cp", "/bin/busybox", *built, *sorted(needed), "/build/kit"], log=log)
        box.run(["cp", f"/lib/modules/{release}/build/.config", "/build/kit/config"], log=log)
        box.get("/build/kit", folder)
    for packed in folder.glob("*.ko.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()
    names = {module: [Path(ko).name.removesuffix(".xz") for ko in order] for module, order in orders.items()}
    (folder / "orders.json").write_text(json.dumps(names))
    (folder / "release").write_text(release)


def _orders(box: Container, release: str, modules: Iterable[str]) -> dict[str, list[str]]:
    """Returns for each module the paths of what it needs and of itself, in the order of loading.
    Modules that the kernel lacks are left out."""
    orders: dict[str, list[str]] = {}
    for module in modules:
        shown = box.run(["modprobe", "--set-version", release, "--show-depends", module], check=False)
        if shown.code == 0:
            # "insmod /path" for each, the module itself last; "builtin NAME" for what needs no loading.
            lines = shown.output.splitlines()
            orders[module] = [line.split()[1] for line in lines if line.startswith("insmod ")]
    return orders
