# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads files that hold secrets, if only their owner may read them, or from systemd's credentials."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from .errors import ReceiverError, UsageError
from .plainfile import open_plain

#: A header: a name of RFC 9110's characters, and printable ASCII.
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([ -~]*)")
#: Where systemd leaves the credentials of a unit, which it guards itself (systemd.exec(5), LoadCredential=).
CREDENTIALS = "CREDENTIALS_DIRECTORY"
#: Where root finds them while the units run.
UNITS = (
    Path("/run/credentials/panicast-receiver.service"),
    Path("/run/credentials/panicast-receiver-web.service"),
)


def place(name: str) -> Path:
    """Return where a secret is: at a path, or, for a name without a slash, among our unit's
    credentials."""
    if "/" in name:
        return Path(name)
    return next((found for folder in _folders() if os.access(found := folder / name, os.F_OK)), Path(name))


def read_secret(path: Path, what: str) -> list[str]:
    """Return the lines of a file of ``what``. Raises ReceiverError, also if others than its owner
    may read it."""
    try:
        with open_plain(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            lines = file.read().decode("ascii", "replace").splitlines()
    except OSError as error:
        credential = "; a name without slash is a credential, which root alone finds, while the unit runs"
        hint = "" if len(path.parts) > 1 else credential
        raise ReceiverError(f"cannot read {what} in {path}: {error.strerror}{hint}") from error
    # A credential is let be read by the unit's user in an access list, which shows as the group's mode.
    if mode & 0o077 and not _is_credential(path):
        raise ReceiverError(f"others may read {what} in {path} (mode {mode:04o}); run: chmod 600 {path}")
    return lines


def read_line(name: str, what: str) -> str:
    """Return the one line of such a file. Raises ReceiverError."""
    path = place(name)
    lines = [line.strip() for line in read_secret(path, what) if line.strip()]
    if len(lines) != 1:
        raise UsageError(f"{path}: right is one line: {what}")
    return lines[0]


def read_headers(name: str) -> dict[str, str]:
    """Return the HTTP headers that such a file lists. Raises ReceiverError."""
    path = place(name)
    headers = {}
    for line in filter(None, map(str.strip, read_secret(path, "the headers"))):
        match = _HEADER.fullmatch(line)
        if not match:
            raise UsageError(f"{path}: right are lines NAME: VALUE")
        headers[match[1]] = match[2]
    return headers


def _is_credential(path: Path) -> bool:
    return path.parent in _folders()


def _folders() -> tuple[Path, ...]:
    """Return the folders of credentials: that of our own unit, or else those of all our units."""
    own = os.environ.get(CREDENTIALS)
    return (Path(own),) if own else UNITS
