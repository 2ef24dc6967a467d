# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the notices for sinks, with limited sizes, whatever a host has sent."""

from __future__ import annotations

from ..db.reader import Entry, Reader
from ..records import present
from ..text import escape, shorten
from . import Notice

#: Bytes of what goes into variables, messages, labels and indexes.
BOUNDS = {"host": 255, "title": 512, "reason": 512, "release": 255}


def notice_of(reader: Reader, entry: Entry) -> Notice:
    """Return the notice of a record."""
    summary = {**entry.summary, **{name: shorten(entry.summary[name], most) for name, most in BOUNDS.items()}}
    what = summary["title"] or summary["reason"] or "no reason given"
    line = f"{summary['type']} of {summary['host']}: {what}"
    if summary["kept"] or not summary["complete"]:
        line += f" ({present.state(summary)})"
    return Notice(present.as_json(summary, reader.load(entry), reader.places(entry)), escape(line))
