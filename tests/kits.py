# SPDX-License-Identifier: GPL-2.0-or-later
"""Kits of crash guests: a stock kernel's, and those that have the module of a package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock

import docker

from panicast_build.core import tools
from panicast_build.crash import cases, guest, verdict
from panicast_build.crash.kit import Kit, kit
from panicast_build.targets import kernels

NAMES = ["panicast.ko", "panicast_seal.ko"]
MAKING = Lock()


def stock(client: docker.DockerClient, kernel: str) -> Kit:
    """The kit of a kernel of the table, for tests whose guests live beside each other: it is made once."""
    with MAKING:
        made = kit(client, kernels.load()[kernel])
        tools.need(made.architecture.qemu, "setpriv")
        return made


def with_modules(made: Kit, modules: Mapping[str, bytes], folder: Path) -> Kit:
    """The kit with these modules (path -> contents) instead of its own, in a folder of its own."""
    assert sorted(Path(path).name for path in modules) == NAMES
    shutil.copytree(made.folder, folder)
    for path, contents in modules.items():
        (folder / Path(path).name).write_bytes(contents)
    return replace(made, folder=folder)


def assert_heard(made: Kit) -> None:
    """Crashes a guest, whose record must be complete."""
    case = cases.load()["sysrq"]
    outcome = guest.crash(made, "virtio-net-pci", case)
    assert not verdict.fault(case, outcome), str(outcome)
