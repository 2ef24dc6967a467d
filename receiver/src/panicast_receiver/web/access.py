# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides who may read: the token, the session that a browser gets for it, and the names of the
page."""

from __future__ import annotations

import hmac
import ipaddress
import re
from pathlib import Path

from ..errors import ReceiverError, UsageError
from ..secretfile import place, read_secret
from ..settings import Settings
from ..settings.kinds import host_and_port
from ..settings.web import parse_names
from .sessions import Sessions
from .tries import Tries

SHORTEST_TOKEN = 20
COOKIE = "panicast_session"
#: What a browser keeps that was right about the token once: it is told from those that guess.
KNOWN_COOKIE = "panicast_known"
#: A way within this page: no other host's, whatever a browser makes of backslashes and control characters.
_INSIDE = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")


class Access:
    """The rules of one page. ``token`` is None if none is needed. If ``behind_proxy``, a proxy on
    this machine says who visits."""

    def __init__(
        self, token: str | None, names: frozenset[str] = frozenset(), behind_proxy: bool = False
    ) -> None:
        self.token = token
        self.behind_proxy = behind_proxy
        self._names = names | {"localhost"}
        self.sessions = Sessions()
        self.tries = Tries()

    def is_token(self, text: str) -> bool:
        """Tell whether this is the token; takes the same time whatever is wrong with it."""
        return self.token is not None and _same(text, self.token)

    def may_read(self, cookie: str) -> bool:
        """Tell whether a request with this cookie may read; ``is_token`` checks the token itself."""
        return self.token is None or self.sessions.is_open(cookie)

    def may_be_called(self, host: str) -> bool:
        """Tell whether the page answers to the name in a request's Host header.

        With a token it answers to any name: no foreign page has the token. Without one, a foreign
        page could point its own name at our address (DNS rebinding) and read what only this machine
        may see.
        """
        if self.token is not None:
            return True
        name = host.lower()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] or name
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def bearer(authorization: str) -> str:
    """Return the token in a header; empty if there is none."""
    scheme, _, told = authorization.partition(" ")
    return told.strip() if scheme.lower() == "bearer" else ""


def inside(to: str) -> str:
    """Return the path within this page that somebody wants to go to; its root if it is not one."""
    return to if _INSIDE.fullmatch(to) else "/"


def _same(told: str, known: str) -> bool:
    # A header may hold any bytes; those that are not UTF-8 come as surrogates.
    return hmac.compare_digest(told.encode("utf-8", "surrogateescape"), known.encode())


def _read_token(path: Path) -> str:
    token = "\n".join(read_secret(path, "the token")).strip()
    if len(token) < SHORTEST_TOKEN or not re.fullmatch(r"[!-~]+", token):
        raise ReceiverError(
            f"the token in {path} is not a word of at least {SHORTEST_TOKEN} characters of ASCII; make one: "
            f"(umask 077 && openssl rand -hex 32 > {path})"
        )
    return token


def of(settings: Settings) -> Access:
    """Return the rules that the settings make. Raises ReceiverError, also if the page would be open
    to others."""
    address, _ = host_and_port(settings.web_listen)
    if settings.web_token_file:
        token = _read_token(place(settings.web_token_file))
        return Access(token, parse_names(settings.web_names), settings.web_proxy)
    if not ipaddress.ip_address(address).is_loopback:
        raise UsageError(
            f"web_listen {settings.web_listen} lets other machines read all records without a token. "
            "Name a file with one in web_token_file: (umask 077 && openssl rand -hex 32 > FILE), owned "
            "by panicast-web; or listen on 127.0.0.1 and put a web server with a login in front of it"
        )
    return Access(None, parse_names(settings.web_names), settings.web_proxy)
