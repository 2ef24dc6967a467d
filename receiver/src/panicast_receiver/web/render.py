# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes answers of templates, and cookies that only this page gets."""

from __future__ import annotations

import math
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from .. import stats
from ..records import present
from ..text import ago, escape, parse_when
from . import crashrates
from .database import check
from .site import Site

_TEMPLATES = Path(__file__).parent / "templates"
#: Where a browser goes for records, groups and hosts.
_VIEWS = {"/": "Records", "/groups": "Crashes", "/hosts": "Hosts", "/compare": "Compare"}


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(_TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["safe_text"] = escape
    made.filters["state"] = present.state
    made.filters["lines"] = present.lines_of
    made.filters["in_words"] = present.in_words
    made.filters["short"] = lambda moment: moment[:19].replace("T", " ")
    made.filters["ago"] = lambda moment: ago(parse_when(moment), time.time_ns())
    made.filters["digits"] = crashrates.number
    made.filters["percent"] = crashrates.percent
    made.filters["thousands"] = lambda number: f"{number:,}"
    return made


class Renderer:
    """Knows what stands on every page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._templates = _environment()
        self._version = version("panicast-receiver")

    def error(self, request: web.Request, status: int, text: str) -> web.Response:
        """Return the page that says what went wrong."""
        return self.page(request, "error.html", status=status, let_through=False, code=status, text=text)

    async def made(self, request: web.Request, template: str, **values: Any) -> web.Response:
        """Return a page that may be long, made in a thread, so that nobody else waits."""
        return await self._site.database.make(
            lambda deadline: self.page(request, template, deadline=deadline, **values)
        )

    def page(
        self,
        request: web.Request,
        template: str,
        status: int = 200,
        deadline: float = math.inf,
        let_through: bool = True,
        **values: Any,
    ) -> web.Response:
        site = self._site
        pieces = self._templates.get_template(template).generate(
            base=site.base,
            version=self._version,
            views=_VIEWS,
            here=site.path_of(request),
            query_string=request.query_string,
            receiver=stats.read(site.state_dir) if site.state_dir else None,
            central=site.state_dir is None,
            secured=site.access.secured,
            known=site.has_session(request) or (let_through and not site.is_open(request)),
            **values,
        )
        html = []
        for piece in pieces:
            html.append(piece)
            check(deadline)
        return web.Response(text="".join(html), content_type="text/html", charset="utf-8", status=status)

    def give(
        self,
        request: web.Request,
        answer: web.Response,
        name: str,
        value: str,
        lasts_s: int,
        to: str = "Strict",
    ) -> None:
        """Let the browser keep a cookie that only this page gets."""
        answer.set_cookie(
            name,
            value,
            max_age=lasts_s,
            path=self._site.base or "/",
            httponly=True,
            samesite=to,
            secure=scheme(request) == "https",
        )


def scheme(request: web.Request) -> str:
    """Return http or https, also where a reverse proxy speaks TLS."""
    return "https" if "https" in (request.scheme, request.headers.get("X-Forwarded-Proto")) else "http"
