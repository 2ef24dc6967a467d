# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what the page's forms send."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from .site import body_of

#: No form of ours has more.
_MOST_FIELDS = 16


async def said_in(request: web.Request) -> dict[str, str]:
    """Return the fields of a form that changes something, with ends of lines as everybody has them."""
    return {name: text.replace("\r\n", "\n") for name, text in (await form_of(request)).items()}


async def form_of(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form. One that is not encoded as browsers encode ours has none.

    Raises HTTPBadRequest for what no browser sends. aiohttp's own parser raises many other errors.
    """
    body = await body_of(request)
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise web.HTTPBadRequest(text="this is not what a form of this page sends") from error
