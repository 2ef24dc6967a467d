# SPDX-License-Identifier: GPL-2.0-or-later
"""``web``: builds the page, listens, talks to systemd, stops when asked."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable
from typing import Callable
from urllib.parse import urlencode

import sdnotify
from aiohttp import web
from aiohttp.http import HttpProcessingError

from .. import log
from ..db.boots import Ages
from ..errors import ReceiverError
from ..log import logger
from ..settings import Settings
from ..settings.kinds import host_and_port
from . import access, api, place
from .database import Database
from .fair import VISITOR
from .live import Feed
from .login import Login
from .pages import Pages
from .render import Renderer
from .sending import Sending
from .site import Site, add_headers, status_of
from .visitors import Visitors

#: Seconds between signs of life to systemd, and for requests that are being answered when we stop.
_ALIVE_S, _LAST_ANSWERS_S = 10.0, 5.0
#: Bytes of a form, with a token or a note, whose characters may take twelve bytes each.
_LONGEST_FORM = 32 << 10
#: Answers that ask for patience.
_LATER = frozenset({429, 503})
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(settings: Settings) -> int:
    """See the package's ``run``."""
    log.start(settings.log_level)
    logging.getLogger("aiohttp.server").addFilter(_is_about_us)
    # Seconds after which whoever makes a long page gives Python's lock away: others wait for it at each step.
    sys.setswitchinterval(0.0005)
    shown = place.of(settings)
    site = Site(
        settings.web_base,
        shown,
        Ages(settings.silent_s, settings.retire_days),
        access.of(settings),
        Database(shown),
        Feed(shown),
    )
    return asyncio.run(_serve(settings.web_listen, site))


def _is_about_us(line: logging.LogRecord) -> bool:
    """Tell whether a line of the log is about more than a request that is not HTTP: anybody may
    send any number of those."""
    return not (
        line.exc_info and isinstance(line.exc_info[1], (HttpProcessingError, web.RequestPayloadError))
    )


def application(site: Site, visitors: Visitors) -> web.Application:
    """Return the page as an aiohttp application."""
    renderer, sending = Renderer(site), Sending()

    @web.middleware
    async def answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse or answer a request; report errors in the form that the reader wants."""
        visitors.heard(request.protocol)
        VISITOR.set(site.visitor(request))
        try:
            site.check(request)
            if site.is_open(request):
                return await handler(request)
            with visitors.answering(request.protocol):
                return await sending.send(request, await handler(request))
        except web.HTTPException as error:
            return _refusal(request, error)
        except ReceiverError as error:
            return _error(request, status_of(error), str(error))

    def _refusal(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
        if error.status < 400:
            return error
        wants_page = not (site.is_program(request) or site.is_plain(request)) and request.method == "GET"
        if error.status == 401 and wants_page:
            query = request.rel_url.raw_query_string
            to = site.path_of(request) + (f"?{query}" if query else "")
            return web.Response(
                status=303, headers={"Location": f"{site.base}/login?{urlencode({'to': to})}"}
            )
        answer = _error(request, error.status, error.text or error.reason)
        for name in ("Allow", "WWW-Authenticate", "Retry-After"):
            if name in error.headers:
                answer.headers[name] = error.headers[name]
        return answer

    def _error(request: web.Request, status: int, text: str) -> web.Response:
        answer = _explained(request, status, text)
        if status in _LATER:
            # What else he has asked for by this connection would be refused, too.
            answer.force_close()
        return answer

    def _explained(request: web.Request, status: int, text: str) -> web.Response:
        if site.is_program(request):
            return web.json_response({"error": text}, status=status)
        if site.is_plain(request):
            return web.Response(text=text + "\n", status=status)
        return renderer.error(request, status, text)

    app = web.Application(middlewares=[answer], client_max_size=_LONGEST_FORM)

    async def prepare(_: web.Request, response: web.StreamResponse) -> None:
        add_headers(response)

    app.on_response_prepare.append(prepare)
    app.add_routes([*api.routes(site), *Pages(site, renderer).routes(), *Login(site, renderer).routes()])
    return app


async def _serve(listen: str, site: Site) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    visitors = Visitors()
    runner = web.AppRunner(application(site, visitors), access_log=None)
    await runner.setup()
    serve = runner.server
    assert serve is not None

    def begin() -> web.RequestHandler:
        connection = serve()
        visitors.heard(connection)
        return connection

    address, port = host_and_port(listen)
    listener: asyncio.AbstractServer | None = None
    try:
        try:
            listener = await loop.create_server(begin, address, port)
        except OSError as error:
            raise ReceiverError(
                f"cannot listen on {listen}: {error.strerror}; set another address in web_listen"
            ) from error
        port = listener.sockets[0].getsockname()[1]
        shown = f"[{address}]" if ":" in address else address
        logger.info("web page: http://%s:%d%s/", shown, port, site.base)
        logger.info("records are read from %s", site.state_dir or "the central store")
        notifier = sdnotify.SystemdNotifier()
        notifier.notify("READY=1")
        while not stopping.is_set():
            notifier.notify("WATCHDOG=1")
            try:
                await asyncio.wait_for(stopping.wait(), _ALIVE_S)
            except asyncio.TimeoutError:
                continue
        notifier.notify("STOPPING=1")
        return 0
    finally:
        if listener is not None:
            listener.close()
        site.feed.stop()
        await runner.cleanup()
        site.database.close()
