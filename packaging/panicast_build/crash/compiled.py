# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles a kernel of the table that no distribution built, from the configured source in its image.

ccache lets an interrupted compilation go on. Another configuration compiles everything again: each file
includes it.
"""

from __future__ import annotations

import docker

from panicast_build.core import files, progress
from panicast_build.core.paths import CACHE, LOGS
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.kernel import ccache
from panicast_build.targets.kernels import Kernel

STEPS = (
    'make --jobs="$(nproc)" bzImage modules',
    "make modules_install",
    "cp arch/x86/boot/bzImage /opt/vmlinuz",
    # what modules are built with stays
    "find . -name '*.o' -delete",
    "rm vmlinux",
)


def image(client: docker.DockerClient, kernel: Kernel, configured: str) -> str:
    """Returns the tag of an image like crash-deb, made from the one with the configured source. Raises
    BuildError with its log if the kernel does not compile."""
    tag = f"panicast/crash-compiled:{kernel.name}-{images.digest([client.images.get(configured).id, *STEPS])}"
    with files.locked(CACHE / "images" / f"crash-compiled-{kernel.name}.lock"):
        if not images.exists(client, tag):
            _compile(client, kernel, configured, tag)
    return tag


def _compile(client: docker.DockerClient, kernel: Kernel, configured: str, tag: str) -> None:
    for folder in (LOGS, ccache.FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"compiled-{kernel.name}.log"
    with (
        progress.step(f"compiling the kernel {kernel.name}", log=log_path),
        log_path.open("w") as log,
        Container(
            client,
            configured,
            mounts={ccache.FOLDER: ccache.THERE},
            tmpfs={ccache.MEMORY: ccache.MEMORY_OPTIONS},
        ) as box,
    ):
        environment = ccache.environment(box)
        for step in STEPS:
            box.run(["sh", "-c", step], log=log, cwd=kernel.source, env=environment)
        box.commit(tag)
