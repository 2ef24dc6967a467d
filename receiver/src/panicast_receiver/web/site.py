# SPDX-License-Identifier: GPL-2.0-or-later
"""What all handlers of the page know: where the records are, its path, and who may read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Callable, NamedTuple

from aiohttp import web

from .. import orders
from ..db import groups, maintenance
from ..db.boots import Ages
from ..db.engine import Place
from ..errors import NotFoundError, UsageError
from .access import COOKIE, KNOWN_COOKIE, Access, bearer
from .database import Database
from .live import Feed
from .tokens import Grant
from .tries import whose

API = "/api/v1"
#: Paths that programs read, which get errors in JSON; and paths that answer in one line.
_PROGRAMS = (f"{API}/", "/openapi.json")
_PLAIN = ("/healthz", "/metrics")
#: Open to everybody: whether the page works, its looks, and the ways to log in.
_OPEN = ("/healthz", "/login", "/login/provider", "/login/done", "/static/{name}")
#: Nothing is loaded from elsewhere, no script is inline, no page may frame ours.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


#: Makes an order of a request, of what it tells, and of the way on which it came. Raises UsageError.
Ordered = Callable[[web.Request, Mapping[str, str], str], orders.Order]


def of_group(request: web.Request, told: Mapping[str, str], where: str) -> groups.Order:
    """Return the order to change a group."""
    action, detail, note, by = (told.get(name, "") for name in ("action", "detail", "note", "by"))
    return groups.checked(groups.Order(request.match_info["group"], action, detail, note, by, where))


def of_start(request: web.Request, told: Mapping[str, str], where: str) -> maintenance.Order:
    """Return the order to start a maintenance window."""
    hosts, begin, until, note, by = (told.get(name, "") for name in ("hosts", "from", "until", "note", "by"))
    return maintenance.checked(maintenance.Order("start", "", hosts, begin, until, note, by, where))


def of_end(request: web.Request, told: Mapping[str, str], where: str) -> maintenance.Order:
    """Return the order to end one."""
    number = request.match_info.get("number") or told.get("number", "")
    note, by = (told.get(name, "") for name in ("note", "by"))
    return maintenance.checked(maintenance.Order("end", number, "", "", "", note, by, where))


#: What the visitor may do whose request is being answered.
GRANT: ContextVar[Grant] = ContextVar("grant")


class Site(NamedTuple):
    """``base`` has no slash at its end; ``place`` is where the records are; ``ages`` are the settings."""

    base: str
    place: Place
    ages: Ages
    access: Access
    database: Database
    feed: Feed

    @property
    def state_dir(self) -> Path | None:
        """Return the folder of the service whose records these are; None: many receivers fill the central
        store."""
        return self.place if isinstance(self.place, Path) else None

    @property
    def may_change(self) -> bool:
        """Tell whether this visitor may change anything. Without a token nobody knows who is there."""
        return GRANT.get().may_change

    async def change(
        self, request: web.Request, told: Mapping[str, str], way: str, ordered: Ordered
    ) -> int | None:
        """Have the service do what a request asks for, as ``told`` says: ``ordered`` makes the order.
        Return the number of the window that it is about, if it is. Raises ReceiverError, or the
        answer that refuses the request."""
        grant = GRANT.get()
        if not self.access.secured:
            raise web.HTTPForbidden(
                text="to change anything, readers must log in; name a file with a token in web_token_file"
            )
        if not grant.may_change:
            raise web.HTTPForbidden(
                text=f"{grant.name} may only read; web_operators says which people may change things, and "
                "`panicast-receiver token add NAME --role operate` makes a token that may"
            )
        address = whose(request.remote or "", request.headers.get("X-Forwarded-For", ""))
        if grant.person:
            told = {**told, "by": grant.name}
        where = f"{way} ({address}{f', token {grant.name}' if grant.name and not grant.person else ''})"
        order = ordered(request, told, where)
        place = self.place
        if isinstance(place, Path):
            return await self.database.make(lambda _: orders.give(place, order))
        return await self.database.make(lambda _: orders.carry_out(place, order))

    def path_of(self, request: web.Request) -> str:
        """Return the path below the base."""
        return request.path[len(self.base) :] if request.path.startswith(self.base) else request.path

    def is_program(self, request: web.Request) -> bool:
        """Tell whether errors are reported in JSON."""
        return self.path_of(request).startswith(_PROGRAMS)

    def is_plain(self, request: web.Request) -> bool:
        """Tell whether errors are reported in one line."""
        return self.path_of(request) in _PLAIN

    def is_open(self, request: web.Request) -> bool:
        """Tell whether no token is needed. The handler decides, not the path's looks."""
        resource = request.match_info.route.resource
        return resource is not None and resource.canonical in [f"{self.base}{path}" for path in _OPEN]

    def visitor(self, request: web.Request) -> str:
        """Return the address by which somebody is counted."""
        forwarded = request.headers.get("X-Forwarded-For", "") if self.access.behind_proxy else ""
        return whose(request.remote or "", forwarded)

    def has_session(self, request: web.Request) -> bool:
        """Tell whether this visitor may read without giving a token."""
        return self.access.of_session(request.cookies.get(COOKIE, "")) is not None

    def check(self, request: web.Request) -> None:
        """Raise the error with which a request is refused, if it is. Otherwise GRANT says from then on
        what this visitor may do.

        Only here is the token of a header checked, so that all wrong tries are counted.
        """
        if not self.access.may_be_called(request.headers.get("Host", "")):
            raise web.HTTPMisdirectedRequest(
                text="this page does not answer to that name; if it is a reverse proxy's, set web_names"
            )
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise web.HTTPForbidden(text="another site may not do this here")
        if self.is_open(request):
            return
        grant = self.access.of_session(request.cookies.get(COOKIE, ""))
        if grant is None and (shown := bearer(request.headers.get("Authorization", ""))):
            grant = self.try_token(request, shown)
        if grant is not None:
            GRANT.set(grant)
            return
        raise web.HTTPUnauthorized(
            text="this page wants a token", headers={"WWW-Authenticate": 'Bearer realm="panicast"'}
        )

    def try_token(self, request: web.Request, token: str) -> Grant | None:
        """Return what a token allows; None if it is wrong. Raises the answer for somebody who was wrong too
        often."""
        tries = self.access.tries
        cookie = request.cookies.get(KNOWN_COOKIE, "")
        who = cookie if tries.knows(cookie) else self.visitor(request)
        grant = self.access.of_token(token)
        # Others guess from the address of a program that is known here, behind a proxy or on this machine.
        if grant and tries.knows(who):
            return grant
        if wait_s := tries.wait_s(who):
            raise web.HTTPTooManyRequests(
                text="the token was wrong too often; wait a while and try again",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )
        if grant is None:
            tries.wrong(who)
            return None
        tries.right(who)
        return grant


async def body_of(request: web.Request) -> str:
    """Return what came with a request, as UTF-8 whatever it says of itself. Raises HTTPBadRequest for
    whatever is wrong with it; aiohttp raises other errors in each version, also if the sender has gone."""
    try:
        return (await request.read()).decode()
    except (ValueError, ConnectionError, RuntimeError, web.RequestPayloadError) as error:
        raise web.HTTPBadRequest(text="what came with the request is no UTF-8, or not all of it") from error


def add_headers(response: web.StreamResponse) -> None:
    """Add the headers of every answer; no cache may keep a record."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")


def status_of(error: Exception) -> int:
    """Return the HTTP status for one of our errors."""
    return 400 if isinstance(error, UsageError) else 404 if isinstance(error, NotFoundError) else 503
