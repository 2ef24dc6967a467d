# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds a kernel to be crashed, from the user's source tree and configuration.

The tree does not change: a container builds a copy, and becomes an image like crash-deb.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.build import source
from panicast_build.core import files, progress
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import CACHE, LOGS
from panicast_build.crash import kit
from panicast_build.crash.kit import STRICT, Kit
from panicast_build.engine import engine, images
from panicast_build.engine.container import Container
from panicast_build.kernel import ccache, folder
from panicast_build.kernel.config import missing
from panicast_build.kernel.folder import Configured
from panicast_build.targets import distros

# Whose compiler builds it.
BUILDER = "debian-12"
BUILT = "built from its source by Debian's compiler"
CHANGES = Path(__file__).with_name("tree.config")
NEEDED = Path(__file__).with_name("tree-needed.config")
GIVEN, LINUX, MODULE = "/tree", "/build/linux", "/build/panicast"
LKDTM_FOLDER = "drivers/misc/lkdtm"
# Of a tree that was built: what modules are built with. Ubuntu's have headers of their own.
KEPT = ("Makefile*", "Kbuild", "Module.symvers", ".config", "arch", "include", "scripts", "tools", "ubuntu")


def run(name: str, config_name: str) -> None:
    """Builds the kit of a tree's kernel if needed, and says where it is."""
    asked = folder.configured(name, config_name)
    made = make(engine.connect(), asked)
    progress.say(f"{asked.tree.title}, {made.release}, and the modules for it are in {made.folder}")


def make(client: docker.DockerClient, asked: Configured) -> Kit:
    """Returns the kit of a tree's kernel, built if needed. Raises BuildError with its log if the
    module or the kernel does not compile."""
    parent = images.build(client, distros.get(BUILDER), "kernel-deb")
    parent = images.build(client, distros.get(BUILDER), "crash-tree", parent=parent)
    recipe = [path.read_text() for path in (CHANGES, NEEDED, Path(__file__))]
    inputs = [asked.state(), asked.tree.release, parent, *recipe]
    name = re.sub(r"[^\w.-]", "-", asked.tree.release)
    tag = f"panicast/crashed-tree:{name}-{images.digest(inputs)}"
    with files.locked(CACHE / "images" / f"crashed-tree-{name}.lock"):
        if not images.exists(client, tag):
            _build(client, asked, parent, tag)
    return kit.of_image(client, f"tree-{name}", tag)


def _build(client: docker.DockerClient, asked: Configured, parent: str, tag: str) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    ccache.FOLDER.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"tree-{asked.tree.release}.log"
    with (
        log_path.open("w") as log,
        Container(
            client,
            parent,
            mounts={asked.tree.folder: f"{GIVEN}:ro", ccache.FOLDER: ccache.THERE},
            tmpfs={ccache.MEMORY: ccache.MEMORY_OPTIONS},
        ) as box,
    ):
        with progress.step(f"configuring {asked.tree.title}, {asked.tree.release}", log=log_path):
            _configure(box, asked, log)
        # It takes a minute, and the kernel many.
        with progress.step("building the module for it", log=log_path):
            box.run(["mkdir", MODULE])
            box.write(source.files("kmod"), MODULE)
            try:
                _make(box, asked, log, f"M={MODULE}", *STRICT, "KBUILD_MODPOST_WARN=1", "modules")
            except BuildError as error:
                raise BuildError(
                    f"panicast does not compile for {asked.tree.title}, {asked.tree.release}; "
                    "what differs from kernel to kernel is in kmod/compat",
                    error.log,
                ) from error
        with progress.step("building the kernel", log=log_path):
            _make(box, asked, log, "bzImage")
            box.run(["sh", "-c", "[ ! -e vmlinux.symvers ] || cp vmlinux.symvers Module.symvers"], cwd=LINUX)
            _make(box, asked, log, f"M={LKDTM_FOLDER}", "modules")
        with progress.step("saving the files that guests need", log=log_path):
            _install(box, asked, log)
            box.commit(tag)


def _make(box: Container, asked: Configured, log: TextIO, *arguments: str) -> None:
    jobs = box.run(["nproc"]).output.strip()
    # The tools of older trees, objtool and its library, do not compile without a warning.
    argv = ["make", f"--jobs={jobs}", f"KERNELRELEASE={asked.tree.release}", "WERROR=0", *arguments]
    box.run(argv, log=log, cwd=LINUX, env=ccache.environment(box))


def _configure(box: Container, asked: Configured, log: TextIO) -> None:
    box.run(["mkdir", "-p", LINUX])
    box.run(["rsync", "--archive", "--exclude=/.git", "--chown=root:root", f"{GIVEN}/", f"{LINUX}/"], log=log)
    # Copies of trees lose them.
    box.run(["chmod", "--recursive", "a+x", "scripts"], log=log, cwd=LINUX)
    box.run(
        ["find", "arch", "tools", "-name", "*.sh", "-exec", "chmod", "a+x", "{}", "+"], log=log, cwd=LINUX
    )
    _make(box, asked, log, "mrproper")
    box.write({".config": asked.config, CHANGES.name: CHANGES, NEEDED.name: NEEDED}, LINUX)
    merge = ["scripts/kconfig/merge_config.sh", "-m", ".config", CHANGES.name, NEEDED.name]
    box.run(merge, log=log, cwd=LINUX)
    _make(box, asked, log, "olddefconfig")
    if lacking := missing(NEEDED.read_text(), box.read(f"{LINUX}/.config").decode(errors="replace")):
        raise UserError(
            f"with {asked.config} this kernel cannot be crashed: it cannot have {', '.join(lacking)}",
            "something else in that configuration, or its being for another kernel, rules this out; "
            "give the kernel's own: --config FILE",
        )
    _make(box, asked, log, "modules_prepare")


def _install(box: Container, asked: Configured, log: TextIO) -> None:
    """Puts the kernel where packages put theirs, and deletes what modules do not need to be built."""
    modules = f"/lib/modules/{asked.tree.release}"
    box.run(["mkdir", "-p", f"{modules}/updates"], log=log)
    box.run(["cp", f"{LKDTM_FOLDER}/lkdtm.ko", f"{modules}/updates"], log=log, cwd=LINUX)
    box.run(["cp", "modules.builtin", "modules.builtin.modinfo", modules], log=log, cwd=LINUX)
    box.run(["touch", f"{modules}/modules.order"], log=log)
    box.run(["ln", "-s", LINUX, f"{modules}/build"], log=log)
    box.run(["depmod", asked.tree.release], log=log)
    box.run(["cp", "arch/x86/boot/bzImage", "/opt/vmlinuz"], log=log, cwd=LINUX)
    but = [word for name in KEPT for word in ("!", "-name", name)]
    box.run(
        ["find", ".", "-mindepth", "1", "-maxdepth", "1", *but, "-exec", "rm", "-r", "{}", "+"],
        log=log,
        cwd=LINUX,
    )
    box.run(["find", ".", "-name", "*.o", "-delete"], log=log, cwd=LINUX)
    # It was built to see that it can be: what is crashed has the module of that day.
    box.run(["rm", "-r", MODULE], log=log)
