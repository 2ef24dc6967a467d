# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepares a kernel's source tree in a container, from the tarball up to `make`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from panicast_build.build import signing
from panicast_build.build import source as tree_source
from panicast_build.engine.container import Container
from panicast_build.kernel import config, series
from panicast_build.kernel.config import Config
from panicast_build.kernel.source import Source

# One path for every build: it may end up in the bytes, and ccache knows files by it.
BUILD = "/build"
TREE = f"{BUILD}/linux"
# What is made is the caller's, in the cache of ccache too.
USER = f"{os.getuid()}:{os.getgid()}"
MODULE = "drivers/net/panicast"


@dataclass(frozen=True)
class Wanted:
    """What to build from a tree: the configuration, whether with debug info, the key that signs
    modules."""

    config: Config
    debug_info: bool = False
    key: signing.ModuleKey | None = None

    @property
    def settings(self) -> str:
        """Returns the options that are set besides the configuration."""
        return config.settings(self.config, self.debug_info, self.key.path if self.key else "")

    def inputs(self) -> dict[str, object]:
        """Returns what the bytes of a kernel depend on."""
        return {
            "config": [self.config.base, self.config.flavour, self.config.wanted, self.settings],
            "key": self.key.fingerprint if self.key else "",
        }


@dataclass(frozen=True)
class Prepared:
    """A prepared tree: the kernel's version, its source's time in seconds since 1970, and its tarball."""

    version: str
    epoch: int
    tarball: str


def module_sources() -> dict[str, Path]:
    """Returns the files of panicast.ko by name."""
    return tree_source.files("kmod")


def prepare(box: Container, source: Source, wanted: Wanted, log: TextIO) -> Prepared:
    """Unpacks source into TREE, patches and configures it. With a key, adds panicast.ko to the
    tree, so that it is signed like the kernel's own modules. Raises BuildError with its log, and
    UserError if there is no patch for it."""
    tarball = source.unpack(box, TREE, USER, log)
    epoch = int(box.run(["stat", "--format=%Y", f"{TREE}/Makefile"]).output)
    version = box.run(["make", "--silent", "kernelversion"], cwd=TREE, user=USER).output.strip()
    patch = series.for_version(version).patch
    box.write({patch.name: patch}, "/tmp")
    box.run([*series.APPLY, f"/tmp/{patch.name}"], log=log, cwd=TREE, user=USER)
    if wanted.key:
        _add_key_and_module(box, wanted.key, log)
    _configure(box, source, wanted, log)
    return Prepared(version, epoch, tarball)


def _add_key_and_module(box: Container, key: signing.ModuleKey, log: TextIO) -> None:
    key.give(box, USER)
    box.run(["mkdir", f"{TREE}/{MODULE}"], log=log)
    box.write(module_sources(), f"{TREE}/{MODULE}")
    drivers = f"{MODULE}/.."
    makefile = box.read(f"{TREE}/{drivers}/Makefile") + f"obj-m += {Path(MODULE).name}/\n".encode()
    box.write({"Makefile": makefile}, f"{TREE}/{drivers}")
    box.run(["chown", "--recursive", USER, f"{TREE}/{MODULE}", f"{TREE}/{drivers}/Makefile"])


def _configure(box: Container, source: Source, wanted: Wanted, log: TextIO) -> None:
    def make(*targets: str) -> None:
        box.run(["make", *targets], log=log, cwd=TREE, user=USER)

    files: Mapping[str, bytes] = {
        "fragment.config": wanted.config.wanted.encode(),
        "settings.config": wanted.settings.encode(),
    }
    box.write(files, "/tmp")
    if wanted.config.base:
        make(wanted.config.base)
    else:
        box.run(["cp", source.config, "/tmp/base.config.xz"], log=log)
        box.run(["unxz", "/tmp/base.config.xz"], log=log)
        box.run(["cp", "/tmp/base.config", f"{TREE}/.config"], log=log, user=USER)
    merge = ["scripts/kconfig/merge_config.sh", "-m", ".config"]
    box.run([*merge, *(f"/tmp/{name}" for name in files)], log=log, cwd=TREE, user=USER)
    make("olddefconfig")
    config.check(box, TREE, wanted.config.wanted, wanted.debug_info, Path(log.name))
