# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides who may read and change: tokens, the session that a browser gets for one, and the names of
the page."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from ..errors import ReceiverError, UsageError
from ..secretfile import place, read_line, read_secret
from ..settings import Settings
from ..settings.kinds import host_and_port
from ..settings.web import parse_names, parse_people
from .provider import Provider
from .sessions import Sessions
from .tokens import Grant, Tokens, digest
from .tries import Tries

SHORTEST_TOKEN = 20
COOKIE = "panicast_session"
#: What a browser keeps that was right about the token once: it is told from those that guess.
KNOWN_COOKIE = "panicast_known"
#: Seconds for which browsers keep what they know of a person.
KNOWN_S = 365 * 86400
#: A way within this page: no other host's, whatever a browser makes of backslashes and control characters.
_INSIDE = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")


#: Who reads where no token is needed. Nobody knows who that is, so nothing is changed.
_ANYBODY = Grant("", "read")


class Access:
    """The rules of one page. If ``behind_proxy``, a proxy on this machine says who visits.
    ``provider`` is where people log in, if they do."""

    def __init__(
        self,
        tokens: Tokens,
        names: frozenset[str] = frozenset(),
        behind_proxy: bool = False,
        provider: Provider | None = None,
    ) -> None:
        self._tokens = tokens
        self.behind_proxy = behind_proxy
        self.provider = provider
        self._names = names | {"localhost"}
        self.sessions = Sessions()
        self.tries = Tries()

    @property
    def secured(self) -> bool:
        """Tell whether visitors need a token or a login."""
        return self._tokens.wanted or self.provider is not None

    @property
    def takes_tokens(self) -> bool:
        """Tell whether there are tokens."""
        return self._tokens.wanted

    def of_token(self, text: str) -> Grant | None:
        """Return what this token allows; None if it is none of ours, or has ended."""
        return self._tokens.grant(digest(text))

    def of_session(self, cookie: str) -> Grant | None:
        """Return what a request with this cookie is allowed without a token; None: nothing."""
        if not self.secured:
            return _ANYBODY
        began = self.sessions.began(cookie)
        return self._tokens.grant(began) if isinstance(began, str) else began

    def begin(self, token: str) -> str:
        """Return the cookie of a new session for who gave this token."""
        return self.sessions.begin(digest(token))

    def may_be_called(self, host: str) -> bool:
        """Tell whether the page answers to the name in a request's Host header.

        With a token it answers to any name: no foreign page has the token. Without one, a foreign
        page could point its own name at our address (DNS rebinding) and read what only this machine
        may see.
        """
        if self.secured:
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


def _provider(settings: Settings) -> Provider | None:
    if not settings.web_oidc:
        return None
    if not settings.web_oidc_client:
        raise UsageError("web_oidc needs web_oidc_client, a file with a line CLIENT_ID:SECRET")
    client, _, secret = read_line(settings.web_oidc_client, "CLIENT_ID:SECRET").partition(":")
    if not (client and secret):
        raise UsageError(f"{place(settings.web_oidc_client)}: right is one line: CLIENT_ID:SECRET")
    readers, operators = (parse_people(text) for text in (settings.web_readers, settings.web_operators))
    return Provider(settings.web_oidc, client, secret, readers, operators)


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
    token = _read_token(place(settings.web_token_file)) if settings.web_token_file else None
    file = place(settings.web_tokens_file) if settings.web_tokens_file else None
    tokens = Tokens(token, file)
    provider = _provider(settings)
    if not (tokens.wanted or provider) and not ipaddress.ip_address(address).is_loopback:
        raise UsageError(
            f"web_listen {settings.web_listen} lets other machines read all records without a token. "
            "Name a file with one in web_token_file: (umask 077 && openssl rand -hex 32 > FILE), owned "
            "by panicast-web; or listen on 127.0.0.1 and put a web server with a login in front of it"
        )
    return Access(tokens, parse_names(settings.web_names), settings.web_proxy, provider)
