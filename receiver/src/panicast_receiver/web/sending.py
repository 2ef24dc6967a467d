# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits long answers on their way. A visitor who does not read his answer keeps memory in use. So
only some are sent at once, each for a limited time, and visitors share them (fair.py)."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .fair import Places

#: Answers up to so many bytes fit a connection's own buffer; so many longer ones are sent at once,
#: each for so many seconds.
LARGE, MOST, LASTS_S = 64 << 10, 24, 60.0


class Sending:
    """Sends long answers, a limited number at once."""

    def __init__(self) -> None:
        self._places = Places(MOST)

    async def send(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Send the answer if it is long, and return it. Raises HTTPServiceUnavailable if all places
        are taken."""
        if not isinstance(response, web.Response) or request.method == "HEAD":
            return response
        if not isinstance(response.body, bytes) or len(response.body) <= LARGE:
            return response
        place = object()

        def end() -> None:
            if request.transport is not None:
                request.transport.abort()

        if not self._places.take(place, end):
            raise web.HTTPServiceUnavailable(
                text="many long answers are being sent; try again in a moment", headers={"Retry-After": "5"}
            )
        try:
            await response.prepare(request)
            await asyncio.wait_for(response.write_eof(), LASTS_S)
        except asyncio.TimeoutError:
            end()
        except ConnectionError:
            # Whoever asked has gone.
            pass
        finally:
            self._places.leave(place)
            # Now, not when somebody looks what is used no more.
            response.body = b""
        return response
