# SPDX-License-Identifier: GPL-2.0-or-later
"""How people log in and out: with a token, or at an OpenID Connect provider."""

from __future__ import annotations

import math
import secrets

from aiohttp import web

from ..errors import NotFoundError, ReceiverError
from .access import COOKIE, KNOWN_COOKIE, KNOWN_S, inside
from .forms import form_of
from .oidc import COOKIE as LOGIN_COOKIE
from .oidc import LOGIN_S, SESSION_S, Oidc, Wrong
from .render import Renderer, scheme
from .sessions import LASTS_S
from .site import Site
from .tries import Tries


class Login:
    """The handlers."""

    def __init__(self, site: Site, renderer: Renderer) -> None:
        self._site = site
        self._renderer = renderer
        self._oidc = Oidc(site.access.provider) if site.access.provider else None
        #: Of logins at the provider, where nobody can guess: so nobody waits for others' failures.
        self._logins = Tries(of_all=math.inf)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all ways in and out."""
        base = self._site.base
        return [
            web.get(f"{base}/login", self._ask_token),
            web.post(f"{base}/login", self._take_token),
            web.get(f"{base}/login/provider", self._leave),
            web.get(f"{base}/login/done", self._arrive),
            web.post(f"{base}/logout", self._forget),
        ]

    async def _ask_token(self, request: web.Request) -> web.Response:
        return self._login(request, 200, "", request.query.get("to", ""))

    def _login(self, request: web.Request, status: int, wrong: str, to: str) -> web.Response:
        return self._renderer.page(
            request,
            "login.html",
            status=status,
            wrong=wrong,
            to=to,
            tokens=self._site.access.takes_tokens,
            provider=self._oidc and self._oidc.name,
        )

    async def _take_token(self, request: web.Request) -> web.Response:
        form = await form_of(request)
        token, to = form.get("token", ""), form.get("to", "")
        if not self._site.try_token(request, token.strip()):
            return self._login(request, 401, "That is not the token.", to)
        answer = web.Response(status=303, headers={"Location": f"{self._site.base}{inside(to)}"})
        access = self._site.access
        known = request.cookies.get(KNOWN_COOKIE, "")
        if not access.tries.knows(known):
            known = secrets.token_urlsafe(32)
            access.tries.right(known)
        self._renderer.give(request, answer, KNOWN_COOKIE, known, KNOWN_S)
        self._renderer.give(request, answer, COOKIE, access.begin(token.strip()), LASTS_S)
        return answer

    async def _leave(self, request: web.Request) -> web.Response:
        if self._oidc is None:
            raise NotFoundError("nobody logs in at a provider here; see web_oidc")
        back = f"{scheme(request)}://{request.headers.get('Host', '')}{self._site.base}/login/done"
        to = request.query.get("to", "")
        try:
            where, cookie = await self._oidc.leave(inside(to), back)
        except (Wrong, ReceiverError) as error:
            self._oidc.complain(error)
            return self._login(request, 503, str(error), to)
        answer = web.Response(status=303, headers={"Location": where})
        # The provider's page leads back here, which browsers take for another's link.
        self._renderer.give(request, answer, LOGIN_COOKIE, cookie, LOGIN_S, to="Lax")
        return answer

    async def _arrive(self, request: web.Request) -> web.Response:
        if self._oidc is None:
            raise NotFoundError("nobody logs in at a provider here; see web_oidc")
        who = self._site.visitor(request)
        try:
            trip = self._oidc.trip(request.cookies.get(LOGIN_COOKIE, ""), request.query)
            if wait_s := self._logins.wait_s(who):
                raise web.HTTPTooManyRequests(
                    text="too many logins have failed; wait a while and try again",
                    headers={"Retry-After": str(math.ceil(wait_s))},
                )
            # Each is a request to the provider; until it is right it is wrong.
            self._logins.wrong(who)
            grant = await self._oidc.arrive(trip, request.query["code"])
        except Wrong as error:
            return self._login(request, 403, str(error), "")
        except ReceiverError as error:
            self._oidc.complain(error)
            return self._login(request, 503, str(error), "")
        self._logins.right(who)
        # A redirection would still count as the provider's link, with which browsers send no strict cookie.
        answer = self._renderer.page(
            request, "arrived.html", to=f"{self._site.base}{trip.to}", name=grant.name
        )
        self._renderer.give(
            request, answer, COOKIE, self._site.access.sessions.begin(grant, SESSION_S), SESSION_S
        )
        answer.del_cookie(LOGIN_COOKIE, path=self._site.base or "/")
        return answer

    async def _forget(self, request: web.Request) -> web.Response:
        self._site.access.sessions.end(request.cookies.get(COOKIE, ""))
        answer = web.Response(status=303, headers={"Location": f"{self._site.base}/login"})
        answer.del_cookie(COOKIE, path=self._site.base or "/")
        return answer
