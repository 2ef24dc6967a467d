# SPDX-License-Identifier: GPL-2.0-or-later
"""Confines the administrator's program: drops what it must not have, then becomes it. Runs by its
path, so it imports nothing of ours.

The program runs as the service's user, who may read keys and records. Landlock (Linux 5.13 and
newer) takes that away, and all permission to write. If the kernel lacks it, ``landlock_version``
returns 0.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

#: Seconds of processor time.
_MOST_CPU_S = 30
#: <linux/prctl.h>, <linux/capability.h>
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS, _AMBIENT, _AMBIENT_CLEAR = 1, 24, 38, 47, 4
_CAPABILITY_VERSION, _CAPABILITIES = 0x20080522, 64
#: <linux/landlock.h>: the system calls, which have the same numbers everywhere.
_CREATE, _ADD, _RESTRICT, _VERSION_FLAG, _PATH_BENEATH = 444, 445, 446, 1, 1
_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 2, 4, 8
#: How many kinds of access a version knows, from 1 on; from 4 and 6 on there are also ports and scopes.
_KINDS = (13, 14, 15, 15, 16)
#: No signal to, and no abstract socket of, who is not confined with it.
_SCOPES = 3
#: What is beside the program's concern, or holds what others left.
_CLOSED = frozenset({"boot", "dev", "etc", "home", "lost+found", "proc", "root", "run", "sys", "tmp", "var"})
_DEVICES = ("null", "zero", "full", "random", "urandom")
#: Names of hosts and certificates, which some systems keep apart.
_NEEDED = ("/etc/resolv.conf", "/run/systemd/resolve", "/run/nscd", "/var/lib/ca-certificates")


def libc() -> Any:
    """Return the C library. Raises an error if it cannot be loaded."""
    # Where memory may not be both written and executed, an old libffi cannot be loaded.
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """Return the version of Landlock that this kernel has and lets us use; 0 if none."""
    try:
        return max(0, int(libc().syscall(_CREATE, None, 0, _VERSION_FLAG)))
    except (ImportError, MemoryError, OSError, AttributeError):
        return 0


def open_to(program: Path, secrets: Sequence[Path]) -> Iterator[Path]:
    """Return what the program may read and run: the system's folders, except those that contain a
    secret."""

    def free(path: Path) -> bool:
        real = path.resolve()
        return not any(real == secret or real in secret.parents for secret in secrets)

    here = [one for one in Path("/").iterdir() if one.name not in _CLOSED]
    here += [one for one in Path("/etc").iterdir() if one.name != "panicast"]
    yield from filter(free, here)
    yield program.resolve()
    if free(program.parent):
        yield program.resolve().parent
    yield from (Path(name) for name in _NEEDED if Path(name).exists())


def main(program: str, *secrets: str) -> None:
    """Become the program, without anything that only the service needs."""
    # The service takes some signals in one thread alone, and blocks them for that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, _MOST_CPU_S),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))
    try:
        system = libc()
    except (ImportError, MemoryError, OSError, AttributeError):
        # There was never Landlock where that fails; capabilities are util-linux's to drop.
        os.execvp("setpriv", ["setpriv", "--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all", program])
    system.prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    system.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    system.prctl(_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    for number in range(_CAPABILITIES):
        # Of use to root alone, who would have all of them again.
        system.prctl(_CAPBSET_DROP, number, 0, 0, 0)
    if version := landlock_version():
        _landlock(system, version, Path(program), [Path(one).resolve() for one in secrets])
    # Where a filter forbids that, to become the program takes them away all the same.
    system.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24))
    try:
        os.execv(program, [program])
    except OSError as error:
        sys.exit(f"cannot be run: {error.strerror}; it and its interpreter must lie in the system's folders")


def _landlock(system: Any, version: int, program: Path, secrets: Sequence[Path]) -> None:
    known = (1 << _KINDS[min(version, len(_KINDS)) - 1]) - 1
    attributes = struct.pack("=Q", known)
    if version >= 6:
        attributes += struct.pack("=QQ", 0, _SCOPES)
    rules = system.syscall(_CREATE, attributes, len(attributes), 0)
    for path in open_to(program, secrets):
        _allow(system, rules, path, _READ | _EXECUTE | (_READ_DIR if path.is_dir() else 0))
    for name in _DEVICES:
        _allow(system, rules, Path("/dev", name), _READ | _WRITE)
    if rules < 0 or system.syscall(_RESTRICT, rules, 0):
        sys.exit("the program cannot be confined")
    os.close(rules)


def _allow(system: Any, rules: int, path: Path, access: int) -> None:
    with contextlib.suppress(OSError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        system.syscall(_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", access, place), 0)
        os.close(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
