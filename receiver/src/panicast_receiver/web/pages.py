# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages for people. This module decides what is on them; templates/ and static/ decide how it
looks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote, unquote, urlencode

from aiohttp import web

from ..db import fleet, grouped, groups, maintenance, search
from ..db.boots import STATES
from ..db.reader import Entry, Query, Reader
from ..errors import NotFoundError
from ..records.kernels import numbers
from ..text import iso_time, parse_when
from ..wire.v1 import STATE_TYPES, TYPES
from . import comparison, crashrates, logtext, parameters, timeline
from .access import KNOWN_S
from .api import GROUP
from .forms import said_in
from .render import Renderer
from .site import GRANT, Ordered, Site, of_end, of_group, of_start

_FOLDER = Path(__file__).parent
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ASSETS = {
    path.name: path.read_bytes() for path in sorted((_FOLDER / "static").iterdir()) if path.suffix in _KINDS
}
#: Groups and hosts on a page.
_MOST_GROUPS, _MOST_HOSTS = 100, 200
#: Records on a host's page.
_MOST_OF_HOST = 50
_DAY_NS = 86400 * 1_000_000_000
#: What the filters offer.
_AGES = {"1h": "last hour", "1d": "last day", "7d": "last week", "30d": "last month", "365d": "last year"}
#: The name under which a reader changes groups.
_NAME_COOKIE = "panicast_name"

#: The orders of what is compared, see parameters.ORDERS.
_SORTS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "days": lambda row: -(row["host_days"] or 0),
    "rate": lambda row: -row["rate"].value if row["rate"] else 0,
    "name": lambda row: (numbers(row["value"]), row["value"]),
}


class Pages:
    """The handlers."""

    def __init__(self, site: Site, renderer: Renderer) -> None:
        self._site = site
        self._renderer = renderer

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all pages."""
        base = self._site.base
        # Without a name the base is the root, of which there is no form without slash.
        bare = [web.get(base, self._to_root)] if base else []
        return [
            *bare,
            web.get(f"{base}/", self._records),
            web.get(f"{base}/records/{{id:[0-9a-f]{{12}}}}", self._record),
            web.get(f"{base}/groups", self._groups),
            web.get(f"{base}/groups/{GROUP}", self._group),
            web.post(f"{base}/groups/{GROUP}", self._change_group),
            web.get(f"{base}/hosts", self._hosts),
            web.get(f"{base}/host", self._host),
            web.get(f"{base}/compare", self._compare),
            web.get(f"{base}/maintenance", self._windows),
            web.post(f"{base}/maintenance", self._change_windows),
            web.get(f"{base}/static/{{name}}", self._asset),
        ]

    @staticmethod
    def _asked(request: web.Request, *known: parameters.Parameter) -> dict[str, Any]:
        """Return the parameters; an empty field of a form counts as missing."""
        return parameters.parse([pair for pair in request.query.items() if pair[1].strip()], known)

    async def _to_root(self, request: web.Request) -> web.Response:
        raise web.HTTPPermanentRedirect(f"{self._site.base}/")

    async def _records(self, request: web.Request) -> web.Response:
        values = self._asked(request, *parameters.FILTERS, parameters.LIMIT, parameters.BEFORE)
        query = parameters.query_of(values)
        # One more than is shown tells whether there are more.
        limit = query.limit or parameters.FEW
        ages = self._site.ages
        filtered = bool(values.keys() - {"limit", "before"})

        def find(reader: Reader) -> tuple[list[Entry], dict[str, str], set[str], dict[str, int] | None]:
            entries, now_ns = reader.select(query._replace(limit=limit + 1)), time.time_ns()
            crashed = {entry.summary["host"] for entry in entries if entry.summary["type"] == "panic"}
            # Whoever looks for something, or at what is older, knows what is burning.
            burning = None if filtered or query.before else reader.burning(ages, now_ns)
            signatures = {entry.summary["signature"] for entry in entries} - {""}
            new = reader.new(sorted(signatures), now_ns)
            return entries, reader.states_of(sorted(crashed), ages, now_ns), new, burning

        entries, states, new, burning = await self._site.database.ask(find)
        shown = entries[::-1][:limit]
        older = _with(request, before=str(shown[-1].number)) if len(entries) > limit else ""
        return await self._renderer.made(
            request,
            "records.html",
            records=[entry.summary for entry in shown],
            filters=request.query,
            states=states,
            new=new,
            burning=burning,
            filtered=filtered,
            older=older,
            newest=_with(request, before="") if query.before else "",
            types=sorted(set(TYPES.values()) - (set() if self._site.state_dir else STATE_TYPES)),
            ages=_AGES,
        )

    async def _record(self, request: web.Request) -> web.Response:
        number = self._asked(request, parameters.PART).get("part")

        def find(
            reader: Reader,
        ) -> tuple[dict[str, Any], logtext.Part, logtext.Log, list[dict[str, Any]], list[dict[str, Any]]]:
            entry = reader.find(request.match_info["id"])
            signature = entry.summary["signature"]
            same = reader.groups(Query(group=signature, folded=True)) if signature else []
            part = logtext.part(reader.load(entry).marked_text, number)
            return entry.summary, part, logtext.read(part.data), same, reader.places(entry)

        record, part, log, same, places = await self._site.database.ask(find)
        return await self._renderer.made(
            request,
            "record.html",
            record=record,
            part=part,
            log=log,
            group=same[0] if same else None,
            places=places,
        )

    async def _groups(self, request: web.Request) -> web.Response:
        values = self._asked(request, *parameters.OF_GROUPS)
        query = Query(**values, limit=_MOST_GROUPS, folded=True)

        def find(
            reader: Reader,
        ) -> tuple[list[dict[str, Any]], timeline.Scale, Mapping[str, Mapping[int, int]], set[str]]:
            found = reader.groups(query)[::-1]
            now_ns = time.time_ns()
            firsts = [parse_when(group["first"]) for group in found]
            scale = timeline.scale(query.since_ns or min(firsts, default=now_ns - _DAY_NS), now_ns)
            names = [group["signature"] for group in found]
            counts = reader.timelines(query, names, *scale) if found else {}
            # Not only since the time that is asked for.
            known = reader.firsts(names)
            shown = [{**group, "first": iso_time(known.get(group["signature"]))} for group in found]
            return shown, scale, counts, reader.new(names, now_ns)

        found, scale, counts, new = await self._site.database.ask(find)
        # One scale, so that rows can be compared.
        most = max((count for one in counts.values() for count in one.values()), default=1)
        return await self._renderer.made(
            request,
            "groups.html",
            groups=[
                {**group, "plot": timeline.plot(counts.get(group["signature"], {}), scale, most)}
                for group in found
            ],
            most=most,
            new=new,
            filters=request.query,
            filtered=bool(values.keys() - {"order"}),
            order=query.order,
            orders=parameters.ORDERS_OF_GROUPS,
            start=iso_time(scale.start_ns),
            cut=len(found) == _MOST_GROUPS,
            ages=_AGES,
            states=groups.STATES,
        )

    async def _group(self, request: web.Request) -> web.Response:
        parameters.parse(request.query.items(), ())
        name = request.match_info["group"]

        def find(reader: Reader) -> tuple[dict[str, Any], timeline.Plot]:
            found, now_ns = reader.group(name), time.time_ns()
            first_ns = parse_when(found["first"]) if found["first"] else now_ns - _DAY_NS
            scale = timeline.scale(first_ns, now_ns)
            counts = reader.timelines(Query(group=name, folded=True), [name], *scale)
            return found, timeline.plot(counts.get(name, {}), scale)

        group, plot = await self._site.database.ask(find)
        return await self._renderer.made(
            request,
            "group.html",
            group=group,
            plot=plot,
            compared=grouped.COMPARED,
            actions=groups.ACTIONS,
            longest=groups.LONGEST,
            **self._who(request),
        )

    def _who(self, request: web.Request) -> dict[str, Any]:
        """Return what a form that changes something needs to know of the visitor."""
        grant = GRANT.get()
        known = unquote(request.cookies.get(_NAME_COOKIE, ""))
        return {
            "may_change": self._site.may_change,
            "me": grant.name if grant.person else known,
            "person": grant.person,
        }

    async def _change_group(self, request: web.Request) -> web.Response:
        return await self._change(request, await said_in(request), of_group)

    async def _change(self, request: web.Request, told: Mapping[str, str], ordered: Ordered) -> web.Response:
        await self._site.change(request, told, "page", ordered)
        answer = web.Response(status=303, headers={"Location": request.path})
        # Kept by the browser, so that nobody writes it twice.
        self._renderer.give(request, answer, _NAME_COOKIE, quote(told["by"].strip()), KNOWN_S)
        return answer

    async def _windows(self, request: web.Request) -> web.Response:
        values = self._asked(request, parameters.OVER)

        def find(reader: Reader) -> list[dict[str, Any]]:
            return reader.windows(time.time_ns(), values.get("over", False))

        return await self._renderer.made(
            request,
            "maintenance.html",
            windows=await self._site.database.ask(find),
            over=values.get("over", False),
            longest=maintenance.LONGEST,
            **self._who(request),
        )

    async def _change_windows(self, request: web.Request) -> web.Response:
        told = await said_in(request)
        return await self._change(request, told, of_end if told.get("action") == "end" else of_start)

    async def _hosts(self, request: web.Request) -> web.Response:
        values = self._asked(request, *parameters.OF_HOSTS)
        order = values.get("order", "attention")
        ages = self._site.ages
        words = search.words_of(values.get("search", ""))

        def find(reader: Reader) -> tuple[list[dict[str, Any]], int, dict[str, int], int]:
            now_ns, state = time.time_ns(), values.get("state")
            found = reader.hosts(ages, now_ns, state, words, _MOST_HOSTS, order=order)
            fitting = reader.host_states(ages, now_ns, words)
            total = fitting.get(state, 0) if state else sum(fitting.values()) - fitting.get("retired", 0)
            planned = sum(reader.maintained(ages, now_ns).values())
            return found, total, reader.host_states(ages, now_ns), planned

        found, total, counts, planned = await self._site.database.ask(find)
        return await self._renderer.made(
            request,
            "hosts.html",
            hosts=found,
            total=total,
            counts={state: counts.get(state, 0) for state in STATES},
            planned=planned,
            filters=request.query,
            filtered=bool(values.keys() - {"order"}),
            order=order,
            orders=parameters.ORDERS_OF_HOSTS,
            ages=ages,
        )

    async def _host(self, request: web.Request) -> web.Response:
        name = self._asked(request, parameters.HOST).get("host", "")
        ages = self._site.ages

        def find(reader: Reader) -> tuple[list[dict[str, Any]], list[Entry], list[dict[str, Any]]]:
            now_ns = time.time_ns()
            found = reader.boots_of(name, ages, now_ns)
            windows = {boot["maintenance"] for boot in found if boot["current"] and boot["maintenance"]}
            entries = reader.select(Query(host=name, limit=_MOST_OF_HOST, folded=True))[::-1]
            return found, entries, [reader.window(number, now_ns) for number in windows]

        boots, entries, windows = await self._site.database.ask(find)
        if not boots and not entries:
            raise NotFoundError(f"no host is called {name!r}" if name else "say which: /host?host=NAME")
        return await self._renderer.made(
            request,
            "host.html",
            name=name,
            boots=boots,
            most=fleet.MOST_BOOTS,
            labels=(boots or [entry.summary for entry in entries])[0]["labels"],
            windows=windows,
            records=[entry.summary for entry in entries],
        )

    async def _compare(self, request: web.Request) -> web.Response:
        values = self._asked(request, *parameters.OF_COMPARISON, parameters.SORT)

        def find(reader: Reader) -> tuple[dict[str, Any], list[str]]:
            return comparison.compare(reader, values, time.time_ns()), reader.label_names()

        made, labels = await self._site.database.ask(find)
        sort, rated = values.get("sort", "days"), made["by"] not in comparison.TRAITS
        rows = sorted(crashrates.draw(made["rows"]), key=_SORTS[sort])
        return await self._renderer.made(
            request,
            "compare.html",
            **{**made, "rows": [{**row, "link": comparison.link(made, row, request.query)} for row in rows]},
            names={**comparison.BY, **{f"{comparison.LABEL}{name}": f"label {name}" for name in labels}},
            rated=rated,
            most=comparison.MOST_CRASHES,
            sealed=values.get("sealed", False),
            per=crashrates.PER,
            sort=sort,
            orders={name: words for name, words in parameters.ORDERS.items() if rated or name != "rate"},
            filters=request.query,
            ages=_AGES,
        )

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in _ASSETS:
            raise NotFoundError(f"there is no {name!r}")
        return web.Response(
            body=_ASSETS[name],
            content_type=_KINDS[Path(name).suffix],
            # Its address holds the version.
            headers={"Cache-Control": "public, max-age=86400"},
        )


def _with(request: web.Request, **changes: str) -> str:
    """Return the query string of a request with some of it changed; "" removes a parameter."""
    pairs = {name: text for name, text in {**request.query, **changes}.items() if text}
    return "?" + urlencode(pairs)
