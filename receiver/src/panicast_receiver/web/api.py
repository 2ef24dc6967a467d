# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON API; openapi.py describes it."""

from __future__ import annotations

import asyncio
import json
import time

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from ..db import search
from ..db.reader import Query, Reader
from ..errors import UsageError
from ..records import present
from . import comparison, metrics, openapi, parameters
from .live import MOST_STREAMS, TAKES_S, Stream
from .site import API, Site, body_of, of_end, of_group, of_start

_ID, GROUP = "{id:[0-9a-f]{12}}", "{group:[0-9a-f]{12}}"
_WINDOW = "{number:[0-9]{1,18}}"


def routes(site: Site) -> list[web.RouteDef]:
    """Return the routes for programs."""
    handlers = _Handlers(site)
    paths = {
        f"{API}/records": handlers.records,
        f"{API}/records/{_ID}": handlers.record,
        f"{API}/records/{_ID}/text": handlers.text,
        f"{API}/groups": handlers.groups,
        f"{API}/groups/{GROUP}": handlers.group,
        f"{API}/hosts": handlers.hosts,
        f"{API}/maintenance": handlers.windows,
        f"{API}/compare": handlers.compare,
        "/openapi.json": handlers.document,
        "/metrics": handlers.metrics,
        "/healthz": handlers.healthz,
    }
    # HEAD of a stream would be one that never ends.
    stream = web.get(f"{site.base}{API}/events", handlers.events, allow_head=False)
    changes = [
        web.post(f"{site.base}{API}/groups/{GROUP}", handlers.change),
        web.post(f"{site.base}{API}/maintenance", handlers.start),
        web.post(f"{site.base}{API}/maintenance/{_WINDOW}", handlers.end),
    ]
    return [stream, *changes, *(web.get(f"{site.base}{path}", handler) for path, handler in paths.items())]


def _json(text: str) -> web.Response:
    """Return a response made in a thread, because it may be long."""
    return web.Response(text=text, content_type="application/json")


class _Handlers:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._document = openapi.document(site.base, site.access.secured)

    async def records(self, request: web.Request) -> web.StreamResponse:
        known = (*parameters.FILTERS, parameters.LIMIT, parameters.BEFORE)
        query = parameters.query_of(parameters.parse(request.query.items(), known))

        def find(reader: Reader) -> str:
            entries = reader.select(query)
            more = entries and len(entries) == query.limit
            return json.dumps(
                {
                    "records": [entry.summary for entry in reversed(entries)],
                    "next": str(entries[0].number) if more else None,
                }
            )

        return _json(await self._site.database.ask(find))

    async def record(self, request: web.Request) -> web.StreamResponse:
        parameters.parse(request.query.items(), ())

        def find(reader: Reader) -> str:
            entry = reader.find(request.match_info["id"])
            return json.dumps(present.as_json(entry.summary, reader.load(entry), reader.places(entry)))

        return _json(await self._site.database.ask(find))

    async def text(self, request: web.Request) -> web.StreamResponse:
        parameters.parse(request.query.items(), ())

        def find(reader: Reader) -> tuple[str, bytes]:
            entry = reader.find(request.match_info["id"])
            return present.file_name(entry.summary), reader.load(entry).received_text

        name, text = await self._site.database.ask(find)
        return web.Response(
            body=text,
            content_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def groups(self, request: web.Request) -> web.StreamResponse:
        known = (*parameters.OF_GROUPS, parameters.LIMIT)
        query = parameters.query_of(parameters.parse(request.query.items(), known))
        return _json(
            await self._site.database.ask(lambda reader: json.dumps({"groups": reader.groups(query)[::-1]}))
        )

    async def group(self, request: web.Request) -> web.StreamResponse:
        parameters.parse(request.query.items(), ())
        return await self._group(request)

    async def _group(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["group"]
        return _json(await self._site.database.ask(lambda reader: json.dumps(reader.group(name))))

    async def change(self, request: web.Request) -> web.StreamResponse:
        told = await _told(request, "action", "detail", "note", "by")
        await self._site.change(request, told, "API", of_group)
        return await self._group(request)

    async def start(self, request: web.Request) -> web.StreamResponse:
        told = await _told(request, "hosts", "from", "until", "note", "by")
        return await self._window(await self._site.change(request, told, "API", of_start))

    async def end(self, request: web.Request) -> web.StreamResponse:
        told = await _told(request, "note", "by")
        return await self._window(await self._site.change(request, told, "API", of_end))

    async def _window(self, number: int | None) -> web.StreamResponse:
        def find(reader: Reader) -> str:
            return json.dumps(reader.window(number or 0, time.time_ns()))

        return _json(await self._site.database.ask(find))

    async def windows(self, request: web.Request) -> web.StreamResponse:
        over = parameters.parse(request.query.items(), (parameters.OVER,)).get("over", False)

        def find(reader: Reader) -> str:
            return json.dumps({"windows": reader.windows(time.time_ns(), over)})

        return _json(await self._site.database.ask(find))

    async def hosts(self, request: web.Request) -> web.StreamResponse:
        values = parameters.parse(request.query.items(), parameters.OF_HOSTS)
        wanted, words = values.get("state"), search.words_of(values.get("search", ""))
        ages = self._site.ages

        def find(reader: Reader) -> str:
            order = values.get("order", "name")
            return json.dumps({"hosts": reader.hosts(ages, time.time_ns(), wanted, words, order=order)})

        return _json(await self._site.database.ask(find))

    async def compare(self, request: web.Request) -> web.StreamResponse:
        values = parameters.parse(request.query.items(), parameters.OF_COMPARISON)

        def find(reader: Reader) -> str:
            return json.dumps(comparison.as_json(comparison.compare(reader, values, time.time_ns())))

        return _json(await self._site.database.ask(find))

    async def events(self, request: web.Request) -> web.StreamResponse:
        query = parameters.query_of(parameters.parse(request.query.items(), parameters.FILTERS))
        feed = self._site.feed
        stream = feed.join()
        if stream is None:
            raise web.HTTPServiceUnavailable(
                text=f"{MOST_STREAMS} streams are open, which is the limit; try again in a minute",
                headers={"Retry-After": "60"},
            )
        try:
            return await self._stream(request, query, stream)
        finally:
            feed.leave(stream)

    async def _stream(self, request: web.Request, query: Query, stream: Stream) -> web.StreamResponse:
        feed = self._site.feed
        newest = await feed.newest()
        last = request.headers.get("Last-Event-ID", "")
        if last and not (last.isascii() and last.isdigit() and len(last) < 19):
            raise UsageError("Last-Event-ID is not the id of an event")
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                # nginx would keep events until they fill a buffer.
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        # A number of a database that was replaced since means nothing in this one.
        events = feed.events(stream, query, min(int(last), newest) if last else newest)
        try:
            async for event in events:
                if request.transport is None or request.transport.is_closing():
                    break
                await asyncio.wait_for(response.write(event.encode()), TAKES_S)
        except ConnectionError:
            # Whoever listened has gone.
            pass
        except asyncio.TimeoutError:
            # Or does not read: what was not taken keeps memory, and a place.
            if request.transport is not None:
                request.transport.abort()
        finally:
            await events.aclose()
        return response

    async def document(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._document)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        site = self._site
        streams = site.feed.streams
        text = await site.database.make(
            lambda deadline: metrics.render(site.place, site.ages, streams, deadline)
        )
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        """Tell whether the page can show records: 200, or 503 with the reason."""
        await self._site.database.look()
        return web.Response(text="ok\n")


async def _told(request: web.Request, *known: str) -> dict[str, str]:
    """Return the strings that a change has, of those that are known. Raises UsageError, or the answer
    that refuses the request."""
    parameters.parse(request.query.items(), ())
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send JSON, with Content-Type: application/json")
    body = await body_of(request)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("that is not JSON in UTF-8") from None
    if not isinstance(told, dict) or not all(
        name in known and isinstance(text, str) for name, text in told.items()
    ):
        raise UsageError(f"send an object of strings; there are: {', '.join(known)}")
    return told
