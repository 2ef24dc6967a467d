# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of the database: who owns it, and who works in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ..errors import ReceiverError

#: The service's user, as the packages make it, and where they let it keep records.
USER = "panicast"
SYSTEM_FOLDER = Path("/var/lib/panicast")
LOCK = "serve.lock"
MODE = 0o750


@contextlib.contextmanager
def as_the_services(folder: Path) -> Iterator[None]:
    """Let files that root makes meanwhile belong to the service: to the owner of the folder, or its
    future owner.

    Changing owners afterwards would be too late: in between the service would find files that it
    cannot open.
    """
    owner = _owner(folder)
    umask = os.umask(0o027)
    try:
        if os.geteuid() or owner is None or owner == (0, 0):
            yield
            return
        if not folder.exists():
            _make(folder, owner)
        user, group, groups = os.geteuid(), os.getegid(), os.getgroups()
        os.setgroups([owner[1]])
        os.setegid(owner[1])
        os.seteuid(owner[0])
        try:
            yield
        finally:
            os.seteuid(user)
            os.setegid(group)
            os.setgroups(groups)
    finally:
        os.umask(umask)


def give(path: Path) -> None:
    """Give a file that root made to the folder's owner, readable by its group. Raises OSError."""
    path.chmod(0o640)
    if not os.geteuid():
        found = path.parent.stat()
        os.chown(path, found.st_uid, found.st_gid)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep the service from starting there. Raises ReceiverError if it runs."""
    try:
        with _lock(folder) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except FileNotFoundError as error:
        raise ReceiverError(f"{folder} does not exist, or no service ran there; start it once") from error
    except BlockingIOError as error:
        raise ReceiverError(
            f"a service keeps its records in {folder}; stop it first: systemctl stop panicast-receiver"
        ) from error
    except PermissionError as error:
        raise ReceiverError(f"you may not write in {folder}; run this as root") from error


def open_lock(folder: Path) -> TextIO:
    """Open the file that the service locks while it uses the folder. Only the service may open it:
    whoever can read a file can lock it."""
    lock = (folder / LOCK).open("a")
    with contextlib.suppress(PermissionError):
        os.fchmod(lock.fileno(), 0o600)
    return lock


def _lock(folder: Path) -> TextIO:
    """Open the lock's file; if root makes it, it belongs to the service."""
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    with as_the_services(folder):
        return open_lock(folder)


def _owner(folder: Path) -> tuple[int, int] | None:
    """Return the user and the group that the files should belong to; None if that is whoever makes
    them."""
    with contextlib.suppress(FileNotFoundError):
        found = folder.stat()
        return found.st_uid, found.st_gid
    if folder != SYSTEM_FOLDER:
        return None
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return None
    return user.pw_uid, user.pw_gid


def _make(folder: Path, owner: tuple[int, int]) -> None:
    try:
        folder.mkdir(mode=MODE)
        os.chown(folder, *owner)
    except OSError as error:
        raise ReceiverError(f"cannot make {folder}: {error.strerror}") from error
