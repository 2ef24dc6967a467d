# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets people log in at a provider of OpenID Connect: the authorization code flow with PKCE
(https://openid.net/specs/openid-connect-core-1_0.html, RFC 7636).

The provider's answer comes over a connection of ours to its token endpoint. TLS vouches for it, so
its signature need not be checked (section 3.1.3.7, point 6).
"""

from __future__ import annotations

import asyncio
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
from ..log import logger
from ..text import escape
from .fair import Places
from .provider import Pattern, Provider
from .tokens import Grant

#: The cookie of a browser that is on its way to the provider and back.
COOKIE = "panicast_login"
#: Seconds that this may take, that a session lasts, and for each of our requests.
LOGIN_S, SESSION_S, _TIMEOUT_S = 600, 12 * 3600, 10
#: Bytes of an answer of the provider.
_MOST = 256 << 10
#: Seconds for which the provider's own description is kept.
_KEPT_S = 3600.0
#: Requests to the provider at once, which visitors share: each needs an open file.
_AT_ONCE = 32
#: Seconds between lines of the log.
_QUIET_S = 60
#: Seconds by which the provider's clock and ours may differ.
_SKEW_S = 120
_SCOPE = "openid profile email"


class Wrong(Exception):
    """This person does not get in. The text says why, for people."""


class Trip(NamedTuple):
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
        self._places = Places(_AT_ONCE)
        self._quiet_until = 0.0

    @property
    def name(self) -> str:
        """Return the provider's name, for people."""
        return self._provider.issuer.partition("://")[2]

    async def leave(self, to: str, back: str) -> tuple[str, str]:
        """Return where a browser goes to log in, and its cookie. It comes ``back`` to an address of
        ours and wants ``to`` a page then. Raises ReceiverError if the provider is away."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        trip = Trip(state, nonce, verifier, to, back, self._clock() + LOGIN_S)
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

    def trip(self, cookie: str, answer: Mapping[str, str]) -> Trip:
        """Return the trip from which a browser comes back with this answer. Raises Wrong."""
        trip = self._open(cookie)
        if trip is None or not hmac.compare_digest(trip.state.encode(), answer.get("state", "").encode()):
            raise Wrong("this login took too long, or was begun elsewhere; try again")
        if "code" not in answer:
            raise Wrong(
                f"{self.name} lets you in no further: {answer.get('error', 'it does not say why')[:200]}"
            )
        return trip

    async def arrive(self, trip: Trip, code: str) -> Grant:
        """Return who came back. Raises Wrong, and ReceiverError if the provider is away."""
        given = await self._post(
            await self._endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": trip.back,
                "code_verifier": trip.verifier,
            },
        )
        return self._grant(self._claims(str(given.get("id_token", "")), trip.nonce))

    def complain(self, error: Exception) -> None:
        """Tell the log what is wrong with the provider or the settings: once a minute, as anybody may try."""
        if self._quiet_until < self._clock():
            self._quiet_until = self._clock() + _QUIET_S
            logger.warning("nobody can log in: %s", error)

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
                "exp": isinstance(claims.get("exp"), (int, float))
                and claims["exp"] > self._clock() - _SKEW_S,
                "nonce": claims.get("nonce") == nonce,
                "sub": isinstance(claims.get("sub"), str),
            }.items()
            if not right
        ]
        if wrong:
            hint = "; is the clock of this machine right?" if wrong == ["exp"] else ""
            raise ReceiverError(f"the ID token of {self.name} is wrong: {', '.join(wrong)}{hint}")
        return claims

    def _grant(self, claims: Mapping[str, Any]) -> Grant:
        groups = claims.get("groups")
        said = {
            "user": [claims.get("preferred_username")],
            "mail": [claims.get("email")] if claims.get("email_verified") is True else [],
            "sub": [claims["sub"]],
            "group": groups if isinstance(groups, list) else [],
        }
        names = {kind: [one for one in some if isinstance(one, str)] for kind, some in said.items()}
        known = (escape(one).strip() for kind in ("user", "mail", "sub") for one in names[kind])
        name = next(filter(None, known), "nobody")[:64]
        if _any(names, self._provider.operators):
            return Grant(name, "operate", person=True)
        if not self._provider.readers or _any(names, self._provider.readers):
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
        timeout, place, task = aiohttp.ClientTimeout(total=_TIMEOUT_S), object(), asyncio.current_task()
        assert task is not None

        def end() -> None:
            task.cancel()

        if not self._places.take(place, end):
            raise ReceiverError("many people log in just now; try again in a moment")
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
                status, reason = answer.status, answer.reason
                found = json.loads(body) if status in (200, 400, 401) else {}
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
            raise ReceiverError(
                f"{self.name} cannot be asked: {str(error) or type(error).__name__}"
            ) from error
        finally:
            self._places.leave(place)
        if not isinstance(found, dict):
            raise ReceiverError(f"{self.name} does not answer with a JSON object")
        if status != 200:
            why = str(found.get("error", reason))[:200]
            # Of all errors, only this one is about who comes back.
            kind = Wrong if why == "invalid_grant" else ReceiverError
            raise kind(f"{self.name} answers {status}: {why}")
        return found

    def _seal(self, trip: Trip) -> str:
        data = json.dumps(trip).encode()
        return f"{_text(data)}.{_text(self._mac(data))}"

    def _open(self, cookie: str) -> Trip | None:
        said, _, mac = cookie.partition(".")
        try:
            data, seal = _bytes(said), _bytes(mac)
        except ValueError:
            return None
        if not hmac.compare_digest(self._mac(data), seal):
            return None
        trip = Trip(*json.loads(data))
        return trip if trip.until > self._clock() else None

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")


def _any(names: Mapping[str, Sequence[str]], patterns: Sequence[Pattern]) -> bool:
    return any(fnmatchcase(name, one.name) for one in patterns for name in names[one.kind])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Return the bytes of such a text. Raises ValueError."""
    try:
        return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("it is not base64") from error
