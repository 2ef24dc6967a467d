# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``token``: makes, lists and revokes the named tokens of the web page."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
from collections.abc import Iterator
from pathlib import Path

from ..errors import NotFoundError, ReceiverError, UsageError
from ..settings import Settings
from ..web.tokens import Token, checked, digest, make, read, render
from .commands import say

#: Who reads the file: the page's user, as the packages make it.
_PAGE = "panicast-web"


def run(settings: Settings, action: str, name: str, role: str, until: str) -> int:
    """Do what the command asks for."""
    path = Path(settings.web_tokens_file)
    if not settings.web_tokens_file:
        raise UsageError(
            'web_tokens_file names no file; write web_tokens_file = "/etc/panicast/web-tokens" into '
            "receiver.toml and restart panicast-receiver-web"
        )
    if action == "list":
        rows = [f"{token.name:<24} {token.role:<8} {token.until}\n" for token in _listed(path)]
        say("".join(rows) or f"{path} has no tokens\n")
        return 0
    if not name:
        raise UsageError(f"say which token: `panicast-receiver token {action} NAME`")
    with _alone(path):
        said = _changed(path, action, name, role, until)
    say(said)
    return 0


def _listed(path: Path) -> list[Token]:
    return read(path) if path.exists() else []


def _changed(path: Path, action: str, name: str, role: str, until: str) -> str:
    """Revoke a token or make one. Return what to say."""
    tokens = _listed(path)
    if action == "revoke":
        left = [token for token in tokens if token.name != name]
        if left == tokens:
            raise NotFoundError(f"{path} has no token {name!r}; `panicast-receiver token list` prints them")
        _write(path, left)
        return f"{name} is revoked\n"
    if any(token.name == name for token in tokens):
        raise UsageError(f"{path} has a token {name!r} already; revoke it first, or take another name")
    made = make()
    _write(path, [*tokens, checked(Token(name, role, until, digest(made)))])
    return f"{made}\n"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let other commands wait: who adds a token would bring back the one that another revokes. The lock is a
    file of its own, for nobody else may hold it."""
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise ReceiverError(f"cannot write {path}: {error.strerror}; run this as root") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(path: Path, tokens: list[Token]) -> None:
    """Replace the file by one with these tokens, which belongs to whom the old one did, or to the
    page."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            beside.touch(0o600, exist_ok=False)
            with beside.open("w") as file:
                if not os.geteuid() and (owner := _owner(path)):
                    os.fchown(file.fileno(), *owner)
                file.write(render(tokens))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ReceiverError(f"cannot write {path}: {error.strerror}; run this as root") from error


def _owner(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_uid, found.st_gid
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(_PAGE)
        return user.pw_uid, user.pw_gid
    return None
