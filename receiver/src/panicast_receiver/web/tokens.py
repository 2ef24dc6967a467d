# SPDX-License-Identifier: GPL-2.0-or-later
"""The tokens that open the page, and what each allows.

A file of tokens has a line for each: NAME ROLE UNTIL DIGEST. The digest (SHA-256) tells whether
somebody shows the token; nobody learns the token from it.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from datetime import date, datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Callable, NamedTuple

from ..errors import ReceiverError, UsageError
from ..log import logger
from ..secretfile import read_secret

#: What a token allows: to read, or also to change the states of groups.
ROLES = ("read", "operate")
NEVER = "never"
#: A name, which logs and pages show.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Grant(NamedTuple):
    """What somebody may do. ``name`` is that of a person who has logged in, or of a token; empty: the one
    of web_token_file."""

    name: str
    role: str
    person: bool = False

    @property
    def may_change(self) -> bool:
        """Tell whether groups may be changed."""
        return self.role == "operate"


class Token(NamedTuple):
    """A line of the file: ``until`` is a date, on which the token ends at midnight UTC, or "never"."""

    name: str
    role: str
    until: str
    digest: str

    def lasts(self, now_s: float) -> bool:
        """Tell whether it has not ended at this time."""
        return self.until == NEVER or now_s < _midnight_s(self.until)


def digest(token: str) -> str:
    """Return a token's digest in hexadecimal."""
    # A header may hold any bytes; those that are not UTF-8 come as surrogates.
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def make() -> str:
    """Return a new token."""
    return secrets.token_urlsafe(32)


def read(path: Path) -> list[Token]:
    """Return the tokens of a file. Raises ReceiverError."""
    lines = [line for line in read_secret(path, "the tokens") if line.strip() and not line.startswith("#")]
    return [_parse(path, line) for line in lines]


def render(tokens: list[Token]) -> str:
    """Return the text of such a file."""
    head = "# NAME ROLE UNTIL DIGEST; `panicast-receiver token` writes these lines.\n"
    return head + "".join(" ".join(token) + "\n" for token in tokens)


def checked(token: Token) -> Token:
    """Return the token. Raises UsageError that says what is wrong with it."""
    if not NAME.fullmatch(token.name):
        raise UsageError(f"{token.name!r} cannot name a token; use at most 64 letters, digits and ._@-")
    if token.role not in ROLES:
        raise UsageError(f"{token.role!r} is not a role; right is {' or '.join(ROLES)}")
    if token.until != NEVER:
        try:
            _midnight_s(token.until)
        except ValueError:
            raise UsageError(f"{token.until!r} is neither a date such as 2027-02-28 nor {NEVER}") from None
    if not _DIGEST.fullmatch(token.digest):
        raise UsageError("the digest of a token has 64 hexadecimal digits")
    return token


def _parse(path: Path, line: str) -> Token:
    words = line.split()
    if len(words) != len(Token._fields):
        raise UsageError(
            f"{path}: right are lines NAME ROLE UNTIL DIGEST, as `panicast-receiver token add` writes"
        )
    try:
        return checked(Token(*words))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _midnight_s(day: str) -> float:
    moment = date.fromisoformat(day)
    return datetime(moment.year, moment.month, moment.day, tzinfo=timezone.utc).timestamp()


class Tokens:
    """All tokens of a page: ``token`` (of web_token_file, for everything) and those in a file, which is
    read again whenever it changes, so that a revoked token is refused at once.

    Raises ReceiverError if the file is wrong now. If it becomes so later, none of its tokens is good.
    """

    def __init__(self, token: str | None, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._always = {} if token is None else {digest(token): Token("", "operate", NEVER, digest(token))}
        self._file = file
        self._clock = clock
        self._seen = _state(file)
        self._listed: Mapping[str, Token] = {} if file is None else _by_digest(file)

    @property
    def wanted(self) -> bool:
        """Tell whether visitors need a token."""
        return bool(self._always) or self._file is not None

    def grant(self, shown: str) -> Grant | None:
        """Return what the token with this digest allows; None if there is none, or not any more."""
        self._look()
        token = self._always.get(shown) or self._listed.get(shown)
        return Grant(token.name, token.role) if token and token.lasts(self._clock()) else None

    def _look(self) -> None:
        if self._file is None or (state := _state(self._file)) == self._seen:
            return
        self._seen = state
        try:
            self._listed = _by_digest(self._file)
        except ReceiverError as error:
            self._listed = {}
            logger.error("no token of the file is accepted: %s", error)


def _by_digest(path: Path) -> Mapping[str, Token]:
    return {token.digest: token for token in read(path)}


def _state(path: Path | None) -> object:
    """Return what differs when a file was changed or replaced."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return found and (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
