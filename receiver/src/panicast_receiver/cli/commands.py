# SPDX-License-Identifier: GPL-2.0-or-later
"""The reading commands: list, show, groups, hosts, follow, sinks, export. Each returns the exit
code."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

from ..db.boots import Ages
from ..db.engine import Place
from ..db.follower import Follower
from ..db.reader import Entry, Query, Reader
from ..errors import AwayError, ReceiverError
from ..records import present
from ..sinks.cursors import overview
from ..text import escape

#: Seconds between looks at the database's change counter.
FOLLOW_S = 0.5


def _colour() -> bool:
    """Tell whether stdout is a terminal that wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Print text in any locale: characters that it lacks come out escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _show(
    found: list[dict[str, Any]],
    table: Callable[[Sequence[dict[str, Any]]], str],
    nothing: str,
    as_json: bool,
) -> int:
    """Print a JSON array or a table. If nothing was found, print a word on standard error instead
    of a table."""
    if as_json or found:
        say(_json(found) if as_json else table(found))
    else:
        print(nothing, file=sys.stderr)
    return 0


def _chosen(reader: Reader, query: Query) -> Iterator[Entry]:
    """Return the matching records, oldest first: all of them one at a time, for a million do not fit into
    memory."""
    return reader.every(query) if query.limit is None else iter(reader.select(query))


def list_records(place: Place, query: Query, as_json: bool) -> int:
    """Print the matching records as a table or a JSON array."""
    summaries = (entry.summary for entry in _chosen(Reader(place), query))
    if as_json and query.limit is None:
        _say_array(summaries)
        return 0
    return _show(list(summaries), present.table, "no records", as_json)


def groups(place: Place, query: Query, as_json: bool) -> int:
    """Print the groups of crashes as a table or a JSON array."""
    found = Reader(place).groups(query)
    return _show(found, present.groups_table, "no crashes", as_json)


def hosts(place: Place, ages: Ages, state: str | None, words: Sequence[str], as_json: bool) -> int:
    """Print the hosts as a table or a JSON array; ``state`` keeps only those in one state, ``words``
    those that have them, see Reader.hosts()."""
    found = Reader(place).hosts(ages, time.time_ns(), state, words)
    return _show(found, present.hosts_table, "no hosts", as_json)


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _say_array(found: Iterable[object]) -> None:
    """Print a JSON array with an element in each line, one at a time."""
    between = "[\n"
    for one in found:
        say(between + json.dumps(one))
        between = ",\n"
    say("[]\n" if between == "[\n" else "\n]\n")


def show(place: Place, record_id: str, as_json: bool, raw: bool) -> int:
    """Print one record."""
    reader = Reader(place)
    entry = reader.find(record_id)
    record = reader.load(entry)
    if raw:
        sys.stdout.buffer.write(record.received_text)
        if record.gaps:
            sys.stdout.buffer.flush()
            print(f"panicast-receiver: {present.state(entry.summary)}", file=sys.stderr)
    elif as_json:
        say(_json(present.as_json(entry.summary, record, reader.places(entry))))
    else:
        say(present.page(entry.summary, record, reader.places(entry), _colour()))
    return 0


def follow(place: Place, query: Query, as_json: bool) -> int:
    """Print records as they are stored, until SIGINT or until nobody reads the output. If a server is away
    meanwhile, go on where it was when it is back."""
    follower = Follower(place)
    cursor, away = follower.reader().cursor(), False
    while True:
        time.sleep(FOLLOW_S)
        try:
            found = follower.after(cursor, query) if follower.changed() or away else []
        except AwayError as error:
            if not away:
                print(f"panicast-receiver: {escape(str(error))}", file=sys.stderr, flush=True)
            away = True
            continue
        away = False
        for entry in found:
            cursor = entry.changed
            say(
                json.dumps(entry.summary) + "\n"
                if as_json
                else present.table([entry.summary], headings=False)
            )
        sys.stdout.flush()


def sinks(state_dir: Path, as_json: bool) -> int:
    """Print each sink's backlog, and what it refused."""
    found = overview(state_dir)
    return _show(found, present.sinks_table, "no sink was ever fed from here", as_json)


def export(place: Place, query: Query, folder: str) -> int:
    """Write the matching records as text files, each atomically."""
    reader = Reader(place)
    target = Path(folder)
    written = 0
    try:
        target.mkdir(parents=True, exist_ok=True)
        for entry in _chosen(reader, query):
            path = target / present.file_name(entry.summary)
            beside = path.with_name(f".{path.name}.new")
            # Another may have the folder: what lies there under that name is not followed.
            beside.unlink(missing_ok=True)
            with beside.open("x", encoding="utf-8") as file:
                file.write(present.page(entry.summary, reader.load(entry), reader.places(entry)))
            beside.replace(path)
            written += 1
    except OSError as error:
        raise ReceiverError(
            f"cannot export to {target}: {error.strerror}; {written} files were written"
        ) from error
    say(f"{written} records in {target}\n")
    return 0
