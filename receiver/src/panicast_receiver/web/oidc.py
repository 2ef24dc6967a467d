# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets people log in at a provider of OpenID Connect: the authorization code flow with PKCE
(https://openid.net/specs/openid-connect-core-1_0.html, RFC 7636).

The provider's answer comes over a connection of ours to its token endpoint. TLS vouches for it, so
its signature need not be checked (section 3.1.3.7, point 6).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Callable, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp

from ..errors import ReceiverError
from .provider import Provider
from .tokens import Grant

#: The cookie of a browser that is on its way to the provider and back.
COOKIE = "panicast_login"
#: Seconds that this may take, that a session lasts, and for each of our requests.
LOGIN_S, SESSION_S, _TIMEOUT_S = 600, 12 * 3600, 10
#: Bytes of an answer of the provider.
_MOST = 256 << 10
#: Seconds for which the provider's own description is kept.
_KEPT_S = 3600.0
_SCOPE = "openid profile email"


class Wrong(Exception):
    """This person does not get in. The text says why, for people."""


class _Trip(NamedTuple):
    """What we must know when a browser comes back."""

    state: str
    nonce: str
    verifier: str
    to: str
    back: str
    until: float


class Oidc:
    """Logs people in at a provider. It keeps nothing for those who are on their way: their own
    browsers do, in a cookie that nobody else can make."""

    def __init__(self, provider: Provider, clock: Callable[[], float] = time.time) -> None:
        self._provider = provider
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: Mapping[str, Any] = {}
        self._known_until = 0.0

    @property
    def name(self) -> str:
        """Return the provider's name, for people."""
        return self._provider.issuer.partition("://")[2]

    async def leave(self, to: str, back: str) -> tuple[str, str]:
        """Return where a browser goes to log in, and its cookie. It comes ``back`` to an address of
        ours and wants ``to`` a page then. Raises ReceiverError if the provider is away."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        trip = _Trip(state, nonce, verifier, to, back, self._clock() + LOGIN_S)
        challenge = hashlib.sha256(trip.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": back,
            "scope": _SCOPE,
            "state": trip.state,
            "nonce": trip.nonce,
            "code_challenge": _text(challenge),
            "code_challenge_method": "S256",
        }
        where = await self._endpoint("authorization_endpoint")
        return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}", self._seal(trip)

    async def arrive(self, cookie: str, answer: Mapping[str, str]) -> tuple[Grant, str]:
        """Return who came back, and the page that he wants. Raises Wrong, and ReceiverError if the
        provider is away."""
        trip = self._open(cookie)
        if trip is None or not hmac.compare_digest(trip.state.encode(), answer.get("state", "").encode()):
            raise Wrong("this login took too long, or was begun elsewhere; try again")
        if "code" not in answer:
            raise Wrong(
                f"{self.name} lets you in no further: {answer.get('error', 'it does not say why')[:200]}"
            )
        given = await self._post(
            await self._endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": trip.back,
                "code_verifier": trip.verifier,
            },
        )
        claims = self._claims(str(given.get("id_token", "")), trip.nonce)
        return self._grant(claims), trip.to

    def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        try:
            claims = json.loads(_bytes(token.split(".")[1]))
        except (IndexError, ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise ReceiverError(f"{self.name} gave no ID token")
        audience = claims.get("aud")
        wrong = [
            name
            for name, right in {
                "iss": claims.get("iss") == self._provider.issuer,
                "aud": self._provider.client_id in (audience if isinstance(audience, list) else [audience]),
                "azp": claims.get("azp", self._provider.client_id) == self._provider.client_id,
                "exp": isinstance(claims.get("exp"), (int, float)) and claims["exp"] > self._clock(),
                "nonce": claims.get("nonce") == nonce,
                "sub": isinstance(claims.get("sub"), str),
            }.items()
            if not right
        ]
        if wrong:
            raise ReceiverError(f"the ID token of {self.name} is wrong: {', '.join(wrong)}")
        return claims

    def _grant(self, claims: Mapping[str, Any]) -> Grant:
        email = claims.get("email") if claims.get("email_verified") is True else None
        names = [claims.get("preferred_username"), email, claims["sub"]]
        known = [name for name in names if isinstance(name, str) and name]
        groups = claims.get("groups")
        all_names = known + [
            one for one in (groups if isinstance(groups, list) else []) if isinstance(one, str)
        ]
        name = known[0][:64]
        if _any(all_names, self._provider.operators):
            return Grant(name, "operate", person=True)
        if not self._provider.readers or _any(all_names, self._provider.readers):
            return Grant(name, "read", person=True)
        raise Wrong(f"{name} is not among web_readers or web_operators")

    async def _endpoint(self, name: str) -> str:
        if self._known_until < self._clock():
            found = await self._get(f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._provider.issuer:
                raise ReceiverError(f"{self.name} says that it is {str(found.get('issuer'))[:200]!r}")
            self._known, self._known_until = found, self._clock() + _KEPT_S
        where = self._known.get(name)
        if not isinstance(where, str) or not where.startswith(("https://", "http://")):
            raise ReceiverError(f"{self.name} has no {name}")
        if where.startswith("http://") and not self._provider.issuer.startswith("http://"):
            raise ReceiverError(f"{self.name} has a {name} without TLS")
        return where

    async def _get(self, url: str) -> Mapping[str, Any]:
        return await self._ask("GET", url, None, {})

    async def _post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        # As RFC 6749 has it, both are encoded like a form's fields first.
        login = f"{quote(self._provider.client_id, '')}:{quote(self._provider.secret, '')}"
        basic = f"Basic {base64.b64encode(login.encode()).decode()}"
        return await self._ask("POST", url, form, {"Authorization": basic})

    async def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> Mapping[str, Any]:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, url, data=form, headers=headers, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(_MOST)
                while more := await answer.content.read(_MOST):
                    body += more
                    if len(body) > _MOST:
                        raise ReceiverError(f"{self.name} answers more than {_MOST >> 10} KiB")
                if answer.status != 200:
                    raise Wrong(f"{self.name} answers {answer.status} {answer.reason}")
                found = json.loads(body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
            raise ReceiverError(f"{self.name} cannot be asked: {error or type(error).__name__}") from error
        if not isinstance(found, dict):
            raise ReceiverError(f"{self.name} does not answer with a JSON object")
        return found

    def _seal(self, trip: _Trip) -> str:
        data = json.dumps(trip).encode()
        return f"{_text(data)}.{_text(self._mac(data))}"

    def _open(self, cookie: str) -> _Trip | None:
        said, _, mac = cookie.partition(".")
        try:
            data, seal = _bytes(said), _bytes(mac)
        except ValueError:
            return None
        if not hmac.compare_digest(self._mac(data), seal):
            return None
        trip = _Trip(*json.loads(data))
        return trip if trip.until > self._clock() else None

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")


def _any(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for name in names for pattern in patterns)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Return the bytes of such a text. Raises ValueError."""
    try:
        return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("it is not base64") from error
