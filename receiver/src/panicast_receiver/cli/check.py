# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``check-config``: tells whether the service and the page would start with this
configuration, and what it means."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from ..db import damage, folder, outlook, schema
from ..db.retention import Retention
from ..errors import ReceiverError
from ..service import locator, memory
from ..service.preflight import prepare
from ..service.supervisor import hold_ports
from ..settings import CONFIG_FILE, SETTINGS, Settings, exposure
from ..settings.kinds import Value
from ..text import escape
from ..web import access, place

#: The page's user, as the packages make it.
_WEB_USER = "panicast-web"


def check_config(settings: Settings) -> int:
    """Check what `serve` and `web` check before they start, as their users; then print what differs
    from the default."""
    state_dir = settings.state_path(writing=True)
    with _acting_as(folder.USER):
        prepare(settings)
        _look_at_folder(state_dir)
        if not _is_served(state_dir):
            with ExitStack() as stack:
                hold_ports(settings, stack)
    with _acting_as(_WEB_USER):
        access.of(settings)
        if settings.web_central:
            place.of(settings)
    changed = [s for s in SETTINGS if getattr(settings, s.key) != s.default]
    for setting in changed:
        value = "(not shown)" if setting.secret else escape(_shown(getattr(settings, setting.key)))
        print(f"{setting.key} = {value}")
    kept = Retention(settings.keep_days, settings.keep_mib << 20, settings.records_per_host)
    advice = [
        *outlook.tell(settings.state_path(writing=False), kept, time.time_ns()),
        *exposure.warnings(settings),
        *memory.warnings(settings, memory.units_limit()),
        *(f"{what}; {fix}" for what, fix in locator.warnings(settings)),
    ]
    for line in advice:
        print(escape(line), file=sys.stderr)
    right = str(settings.file) if settings.file else f"{CONFIG_FILE} does not exist; what is in force"
    rest = "" if changed else "; everything is at its default"
    print(f"{escape(right)} is right{rest}", file=sys.stderr)
    return 0


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


@contextlib.contextmanager
def _acting_as(user: str) -> Iterator[None]:
    """Open files as this user, if root runs us and the user exists: what root may read proves
    nothing."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        entry = None
    if os.geteuid() or entry is None:
        yield
        return
    before = os.geteuid(), os.getegid(), os.getgroups()
    os.setgroups(os.getgrouplist(user, entry.pw_gid))
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    except ReceiverError as error:
        raise type(error)(f"{error} (as user {user}, like the unit)") from error
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])
        os.setgroups(before[2])


def _look_at_folder(state_dir: Path) -> None:
    """Find what would keep `serve` from using the folder, or from making it."""
    if not _may(os.F_OK, state_dir) and state_dir == folder.SYSTEM_FOLDER:
        # systemd makes it.
        return
    # What one may not look at is not there: Path.exists() would fail.
    there = next(one for one in (state_dir, *state_dir.absolute().parents) if _may(os.F_OK, one))
    refused = f"state_dir: no records can be kept in {state_dir}: "
    if not there.is_dir():
        raise ReceiverError(f"{refused}{there} is not a folder")
    if not _may(os.W_OK | os.X_OK, there):
        raise ReceiverError(f"{refused}{there} is not writable")
    database = state_dir / schema.FILE_NAME
    for path in (state_dir / folder.LOCK, database):
        if _may(os.F_OK, path) and not (path.is_file() and _may(os.R_OK | os.W_OK, path)):
            raise ReceiverError(f"{refused}{path} is not a file that may be read and written")
    # A file that is damaged, or new, keeps nobody from starting.
    if _may(os.F_OK, database) and database.stat().st_size:
        with contextlib.suppress(damage.DamagedError):
            schema.open_reader(database, older=True)[0].close()


def _may(what: int, path: Path) -> bool:
    # By the effective user, which os.access takes for the real one unless it is told.
    return os.access(path, what, effective_ids=True)


def _is_served(state_dir: Path) -> bool:
    """Tell whether a service runs there, which holds the ports."""
    try:
        with (state_dir / folder.LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
