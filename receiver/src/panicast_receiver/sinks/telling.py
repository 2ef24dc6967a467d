# SPDX-License-Identifier: GPL-2.0-or-later
"""What sinks are told of a record: within bounds, whatever a host has sent."""

from __future__ import annotations

from ..db.reader import Entry, Reader
from ..records import present
from ..text import escape, shorten
from . import Told

#: Bytes of what goes into variables, messages, labels and indexes.
BOUNDS = {"host": 255, "title": 512, "reason": 512, "release": 255}


def told(reader: Reader, entry: Entry) -> Told:
    """The record and the line."""
    summary = {**entry.summary, **{name: shorten(entry.summary[name], most) for name, most in BOUNDS.items()}}
    what = summary["title"] or summary["reason"] or "no reason given"
    line = f"{summary['type']} of {summary['host']}: {what}"
    if not summary["complete"]:
        line += f" ({present.state(summary)})"
    return Told(present.as_json(summary, reader.load(entry)), escape(line))
