# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of settings, and the checks of those that are more than a number or a word."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Union
from urllib.parse import urlsplit

from ..errors import UsageError

Value = Union[str, int, float, bool]


class Hint(ValueError):
    """A value is wrong in a way that many try; the text says what to do."""


class Leak(Hint):
    """A value holds a secret, which is not printed."""


_PASSWORD = re.compile(r"(?i)\b(?:ssl)?password\s*=|^postgres(?:ql)?://[^/@]*:[^/@]*@")


class Setting(NamedTuple):
    """``kind`` is the TOML type, ``low`` and ``high`` bound numbers, ``check`` raises ValueError."""

    key: str
    kind: type
    default: Value
    metavar: str
    help: str
    low: float = 0
    high: float = 0
    check: Callable[[str], object] | None = None
    #: Whether the reading commands (list, show, follow, export) use it, too.
    readers: bool = False
    #: Whether SIGHUP applies a change; otherwise it needs a restart.
    live: bool = False
    #: What a valid text is, in words, with an example.
    form: str = ""
    example: str = ""
    #: Whether the value is a secret, which is not printed.
    secret: bool = False

    @property
    def flag(self) -> str:
        """Return the setting's command line flag."""
        return "--" + self.key.replace("_", "-")

    @property
    def right(self) -> str:
        """Say what a valid value looks like."""
        if self.kind is bool:
            return "true or false"
        if self.kind is str:
            example = self.example or str(self.default)
            if "|" in self.metavar and not self.form:
                return f"one of {', '.join(self.metavar.split('|'))}"
            parts = [self.metavar, self.form or "in quotes", *([f"such as {example!r}"] if example else [])]
            return ", ".join(parts)
        return f"a {'whole ' if self.kind is int else ''}number from {self.low:.12g} to {self.high:.12g}"

    def convert(self, value: Any, where: str) -> Value:
        """Return a checked value from a file or flag. Raises UsageError, which names ``where`` and
        what is valid."""
        if self.kind is float and type(value) is int:
            value = float(value)
        good, hint, secret = type(value) is self.kind, "", self.secret
        if good and self.kind in (int, float):
            good = self.low <= value <= self.high
        if good and self.check:
            try:
                self.check(value)
            except ValueError as error:
                good, hint = False, f". {error}" if isinstance(error, Hint) else ""
                secret = secret or isinstance(error, Leak)
        if not good:
            shown = "what it says" if secret else repr(value)
            raise UsageError(f"{where}: {shown} is wrong; right is {self.right}{hint}")
        return value  # type: ignore[no-any-return]


def _split_port(text: str) -> tuple[str, int]:
    address, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(text)
    return address, int(port)


def host_and_port(text: str) -> tuple[str, int]:
    """Split ADDR:PORT, an IPv6 address in brackets; raises ValueError."""
    address, port = _split_port(text)
    if address.startswith("[") and address.endswith("]"):
        return str(ipaddress.IPv6Address(address[1:-1])), port
    try:
        return str(ipaddress.IPv4Address(address)), port
    except ValueError:
        if ":" in address:
            raise Hint(f"Put an IPv6 address in brackets: [{address}]:{port}") from None
        raise


def address_and_port(address: str, port: int) -> str:
    """Return ADDR:PORT, which ``host_and_port`` splits."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def parse_interfaces(text: str) -> Sequence[str]:
    """Split a comma list of interface names; [""] stands for every interface. Raises ValueError."""
    names = [name.strip() for name in text.split(",")]
    if text and not all(0 < len(name.encode()) < 16 and "/" not in name for name in names):
        raise ValueError(text)
    return names


def parse_names(text: str) -> Sequence[str]:
    """Split a comma list, leaving out empty names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def one_of(*words: str) -> Callable[[str], object]:
    """Return a check that accepts only these words."""

    def check(text: str) -> None:
        if text not in words:
            raise ValueError(text)

    return check


def absolute(text: str) -> None:
    """Return an absolute path, or nothing. Raises ValueError."""
    if text and not text.startswith("/"):
        raise ValueError(text)


def web_address(text: str) -> None:
    """Return an http or https URL, or nothing. Raises ValueError."""
    parts = urlsplit(text)
    # A port that there cannot be is a ValueError, too.
    if text and not (text.startswith(("http://", "https://")) and parts.hostname and parts.port != 0):
        raise ValueError(text)


def open_address(text: str) -> None:
    """Return such a URL without a login, or nothing. Raises ValueError."""
    if "@" in urlsplit(text).netloc:
        raise Leak(
            "Leave the login out: others may read it here, and it is not sent. A file of headers may hold "
            "it: Authorization: Basic, and USER:PASSWORD in base64"
        )
    web_address(text)


def parse_servers(text: str) -> list[str]:
    """Split a comma list of nats:// and tls:// URLs, or nothing; raises ValueError, also for a login in one:
    that has a file of its own, for who reads the settings is not to learn it."""
    servers = [name.strip() for name in text.split(",")] if text else []
    for server in servers:
        url = urlsplit(server)
        if url.scheme not in ("nats", "tls") or not url.hostname or "@" in url.netloc:
            raise ValueError(server)
    return servers


def without_password(text: str) -> None:
    """Return a connection string for libpq. Raises UsageError for one with a password, without
    repeating it."""
    if _PASSWORD.search(text):
        raise UsageError(
            "postgresql: a password does not belong in the settings; name a file of mode 0600 instead "
            "(passfile=/etc/panicast/pgpass, with a line HOST:PORT:DATABASE:USER:PASSWORD) or a service "
            "(service=NAME)"
        )
