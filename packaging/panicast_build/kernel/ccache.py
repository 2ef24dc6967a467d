# SPDX-License-Identifier: GPL-2.0-or-later
"""Configures ccache, so that a kernel build reuses what an earlier one compiled.

The cache is on this machine, or on the server that PANICAST_CCACHE_REMOTE names (redis://HOST,
http://HOST/PATH: what ccache itself accepts).
"""

from __future__ import annotations

import os
import re

from panicast_build.core.errors import UserError
from panicast_build.core.paths import CACHE
from panicast_build.engine.container import Container
from panicast_build.engine.images import digest

SETTING = "PANICAST_CCACHE_REMOTE"
FOLDER = CACHE / "ccache"
THERE = "/ccache"
# Where distros keep compilers' names that are ccache: Debian's and Fedora's place.
PATH = "/usr/lib/ccache:/usr/lib64/ccache:/usr/sbin:/usr/bin:/sbin:/bin"
# A whole distro kernel without debug info takes about half of it.
MAX_SIZE = "10G"
# What tells the versions of the system's headers that a build's own tools include, on Debian and elsewhere.
HEADERS = (
    ("dpkg-query", "--show", "libc6-dev", "libdw-dev", "libelf-dev", "libssl-dev", "linux-libc-dev"),
    ("rpm", "-q", "elfutils-libelf-devel", "glibc-devel", "kernel-headers", "openssl-devel"),
)
# By the version that has it first, newest first: what the setting for a server is called.
REMOTE = (((4, 7), "CCACHE_REMOTE_STORAGE"), ((4, 4), "CCACHE_SECONDARY_STORAGE"))
# A kernel's file includes some 900 headers, most of them those of the file before. ccache can remember the
# hash of a header while its inode and times stay (ctime too, which nobody can set), instead of reading it for
# every file that includes it. It does so only where its temporary files are on a file system that it knows,
# as in memory, where they end with the container whose inodes they are about.
MEMORY = "/run/ccache"
MEMORY_OPTIONS = "mode=1777"
# Before, a file that was written twice within a tick of the clock could be taken for what it was at first.
REMEMBERS = (4, 7, 4)


def remote() -> str:
    """Returns the server that the user named; "" if none."""
    return os.environ.get(SETTING, "")


def _number(version: str) -> tuple[int, ...]:
    """Returns the version number in the output of `ccache --version`; (0,) if there is none."""
    found = re.search(r"\bversion (\d+(?:\.\d+)+)", version)
    return tuple(map(int, found[1].split("."))) if found else (0,)


def remote_variable(version: str) -> str:
    """Returns the variable that tells a ccache its server, by its `ccache --version`. Raises
    UserError if it is too old to have one."""
    number = _number(version)
    for since, variable in REMOTE:
        if number >= since:
            return variable
    raise UserError(
        f"{SETTING} is set, but ccache {'.'.join(map(str, number))} of this distro does not support servers",
        f"unset {SETTING} for this distro: ccache supports them from 4.4 on",
    )


def remembering(version: str) -> dict[str, str]:
    """Returns the variables that let a ccache, by its `ccache --version`, keep the hashes of
    headers in MEMORY; none if it is too old for that."""
    if _number(version) < REMEMBERS:
        return {}
    return {"CCACHE_INODECACHE": "1", "CCACHE_TEMPDIR": MEMORY}


def _headers(box: Container) -> str:
    """Returns a digest that tells versions of the system's headers apart."""
    asked = (box.run(argv, check=False) for argv in HEADERS)
    return digest(next(sorted(told.output.split("\n")) for told in asked if told.code == 0))


def environment(box: Container, server: str = "") -> dict[str, str]:
    """Returns the variables that make the compilers in box use ccache, and a server ("": none)."""
    version = box.run(["ccache", "--version"]).output
    variables = {
        "PATH": PATH,
        "CCACHE_DIR": THERE,
        "CCACHE_MAXSIZE": MAX_SIZE,
        # A compiler is known by what it is, not by when it was installed: so builders can share.
        "CCACHE_COMPILERCHECK": "content",
        # What was included is known from the compiler, not from a preprocessor that runs before it: without
        # anything in the cache a build takes hardly longer than without a cache.
        "CCACHE_DEPEND": "1",
        # kbuild does not ask the compiler for the system's headers, which a build's own tools include.
        "CCACHE_NAMESPACE": _headers(box),
        **remembering(version),
    }
    if server:
        variables[remote_variable(version)] = server
    return variables
