# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the module on this machine, for guests to find by ccache: an emulated CPU compiles ten
times slower. Only steps that do not test the compiler use it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.core import files
from panicast_build.engine.container import Container
from panicast_build.smoke import repo
from panicast_build.smoke.family import Tool

FOLDER = "compiled"
# The compilers' names that are ccache, on Debian.
COMPILERS = "/usr/lib/ccache"
# Headers come from the same packages here and there. To compare their sizes and times is enough; their inodes
# and ctimes differ.
SETTINGS = ("CCACHE_SLOPPINESS=file_stat_matches,file_stat_matches_ctime", "CCACHE_COMPILERCHECK=content")
PATH = f"PATH={COMPILERS}:/usr/sbin:/usr/bin:/sbin:/bin"
# Put before a command in a guest: it takes what is there, and compiles the rest.
USED = (
    *("env", PATH, *SETTINGS, f"CCACHE_DIR={repo.MOUNTED}/{FOLDER}"),
    *("CCACHE_READONLY=1", "CCACHE_TEMPDIR=/run/ccache"),
)
_THERE = "/compiled"


def fill(
    client: docker.DockerClient, tag: str, repository: Path, tool: Tool, package: str, kept: Path, log: TextIO
) -> None:
    """Installs package, which DKMS builds, in a container of the guests' image, and leaves what was
    compiled in the folder repository. Does nothing if the image has no ccache.

    Cached in the folder kept, whose name must be NAME-HASH of all that goes into it.
    """

    def compile_in(folder: Path) -> None:
        with Container(client, tag) as box:
            if box.run(["test", "-d", COMPILERS], check=False).code:
                return
            box.put(repository, repo.MOUNTED)
            filling = ["env", PATH, *SETTINGS, f"CCACHE_DIR={_THERE}"]
            for argv in filter(None, (tool.refresh, (*filling, *tool.install, package))):
                box.run(argv, log=log)
            box.get(_THERE, folder)

    shutil.copytree(files.cached(kept, compile_in), repository / FOLDER)
