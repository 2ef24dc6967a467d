# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps guests that have booted, each as its memory and the disk that goes with it: this run's stories and
those of later ones continue from there."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from panicast_build.core import files
from panicast_build.engine import images
from panicast_build.smoke import repo, vm
from panicast_build.smoke.image import FOLDER, copied
from panicast_build.smoke.system import System

MEMORY, DISK, CONSOLE = "memory", "disk", "console"


def continued(spec: vm.Spec, transcript: TextIO) -> vm.Spec:
    """Returns spec for a guest that has booted already. With KVM, it boots: that is quick.

    Cached by all that the machine is made of. The packages under test are not part of it: the guest
    mounts their disk when it continues.
    """
    if spec.accelerator.name != vm.TCG.name:
        return spec

    def fill(part: Path) -> None:
        image = copied(spec.image, part / DISK)
        with tempfile.TemporaryDirectory(prefix="panicast-") as folder:
            alone = replace(spec, image=image, lasting=True, folder=Path(folder), console=part / CONSOLE)
            with vm.Machine(alone, FOLDER) as machine, closing(System(machine, transcript)) as guest:
                guest.wait_until_up()
                # Each later run has this boot: one that went wrong, as on a busy machine, is not kept.
                guest.run(["systemctl", "is-active", "default.target"])
                guest.run(["systemctl", "is-system-running"])
                guest.run(["umount", repo.MOUNTED])
                guest.run(["sync"])
                machine.store(part / MEMORY)

    anywhere = replace(spec, folder=Path(), console=Path(), repository=Path())
    made_of = [vm.version(), vm.qemu_argv(anywhere), spec.repository.stat().st_size]
    name = f"booted-{spec.name}-{spec.image.root.parent.name.rpartition('-')[0]}"
    kept = files.cached(FOLDER / f"{name}-{images.digest(made_of)}", fill)
    return replace(spec, image=spec.image.beside(kept / DISK), memory=kept / MEMORY)
