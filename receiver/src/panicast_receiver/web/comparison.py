# SPDX-License-Identifier: GPL-2.0-or-later
"""By what crashes are compared, for the page and the API: kernels and labels by their rates, and what only
crashes tell by shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..db.fleet import Asked
from ..db.reader import Reader
from ..db.traits import MOST_CRASHES, TRAITS
from ..text import escape
from . import crashrates

__all__ = ["BY", "LABEL", "MOST_CRASHES", "TRAITS", "as_json", "compare", "link"]

#: What the choices are called; labels have names of their own.
BY = {"kernel": "kernel", **{name: name for name in TRAITS}}
LABEL = "label:"
#: Characters of a value that is searched for.
_LONGEST = 200


def compare(reader: Reader, values: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """Return what is compared, with the group in full. Raises NotFoundError if there is none."""
    group = values.get("group")
    known = reader.group(group) if group else None
    asked = Asked(
        values.get("by", "kernel"),
        known["signature"] if known else None,
        values.get("since_ns", 0),
        values.get("sealed", False),
    )
    made = _by_shares(reader, asked) if asked.by in TRAITS else _by_rates(reader, asked, values, now_ns)
    return {"by": asked.by, "group": known, **made}


def _by_rates(reader: Reader, asked: Asked, values: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    # Hosts name them: no character of a name may do anything on a page, nor in an address.
    found = [{**one, "value": escape(one["value"])} for one in reader.ran(asked, now_ns)]
    names = [one["value"] for one in found]
    # The one that ran longest comes first.
    than = values["than"] if values.get("than") in names else "".join(names[:1])
    days, unsealed = (sum(one[name] for one in found) for name in ("host_days", "unsealed_days"))
    return {
        "than": than,
        "rows": [{**one, "share": None, "elsewhere": None} for one in crashrates.compare(found, than)],
        "unsealed": unsealed / days if days else None,
        "untold": 0,
        "cut": False,
    }


def _by_shares(reader: Reader, asked: Asked) -> dict[str, Any]:
    told = reader.told(asked)
    unknown = dict.fromkeys(("hosts", "host_days", "unsealed_days", "rate"))
    rows = [
        {
            "value": escape(one["value"]),
            **unknown,
            **{name: one[name] for name in ("crashes", "crashed")},
            "share": one["crashed"] / one["of"],
            "elsewhere": one["elsewhere"] / one["of_elsewhere"] if one["of_elsewhere"] else None,
            "beside": crashrates.BESIDE[
                crashrates.differs((one["crashed"], one["of"]), (one["elsewhere"], one["of_elsewhere"]))
            ]
            if one["of_elsewhere"]
            else "",
        }
        for one in told["values"]
    ]
    return {
        "than": "",
        "rows": rows,
        "unsealed": told["unsealed"] / told["crashes"] if told["crashes"] else None,
        "untold": told["untold"],
        "cut": told["cut"],
    }


def link(made: Mapping[str, Any], row: Mapping[str, Any], asked: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of the page with the records that a row counts."""
    words, by = row["value"].replace('"', " "), made["by"]
    if len(words) > _LONGEST:
        words = words[:_LONGEST].rpartition(" ")[0]
    search = f'label:"{by.partition(":")[2]}={words}"' if by.startswith(LABEL) else f'{by}:"{words}"'
    group = made["group"]
    also = {"group": group and group["signature"], "since": asked.get("since")}
    return {"search": search, "type": "panic", **{name: value for name, value in also.items() if value}}


def as_json(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object of the API."""
    rows = [{**row, "rate": row["rate"] and row["rate"]._asdict()} for row in made["rows"]]
    return {**made, "group": made["group"] and made["group"]["signature"], "rows": rows}
