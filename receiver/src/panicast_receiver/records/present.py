# SPDX-License-Identifier: GPL-2.0-or-later
"""Renders records: a line in a list, a page, an exported file. Pure: returns text, prints nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..text import escape, render_log, span
from . import labels
from .record import LOST_MESSAGES, Record

_HEADINGS = ("ID", "RECEIVED (UTC)", "TYPE", "HOST", "STATE", "REASON")
#: What Reader.places() returns.
Places = Sequence[dict[str, Any]]
_NANOSECONDS = re.compile("[0-9]{1,20}")
#: Hosts of a group, and frames of a trace, on a terminal.
_FEW_HOSTS, _FEW_FRAMES = 10, 6
_SHOWN_ELSEWHERE = frozenset({"host", "reason"})
#: Characters of the widest column: one name that somebody made up must not widen all rows.
_WIDEST = 64


def state(summary: dict[str, Any]) -> str:
    """Return ``complete``, or what is missing; whether the record is contested or doubted; who kept
    it, or that its crash was kept, too; whether it is a regression, and came in a maintenance window."""
    belief = [word for word in ("contested", "doubted") if summary.get(word)]
    back = ["regression"] if summary.get("regression") else []
    planned = ["in maintenance"] if summary.get("maintenance") else []
    return ", ".join([_missing(summary), *belief, *_copies(summary), *back, *planned])


def _copies(summary: dict[str, Any]) -> list[str]:
    if summary.get("kept"):
        return [f"kept by {summary['kept']}"]
    return ["also kept"] if summary.get("same_crash") else []


def _missing(summary: dict[str, Any]) -> str:
    if summary["complete"]:
        return "complete"
    if summary["format"] == "netconsole" and LOST_MESSAGES in summary["meta"]:
        return f"{summary['meta'][LOST_MESSAGES]} messages missing"
    missing = sum(gap["bytes"] for gap in summary["gaps"])
    parts = [f"{missing} of {summary['bytes']} bytes missing"] if missing else []
    return ", ".join([*parts, *(["metadata missing"] if summary["metadata_missing"] else [])])


def frames(number: int) -> str:
    """Return a number of frames in words."""
    return f"{number} frame{'' if number == 1 else 's'}"


def table(summaries: Sequence[dict[str, Any]], headings: bool = True) -> str:
    """Return one line for each record, in aligned columns under headings."""
    rows = [
        (item["id"], _short(item["received"]), item["type"], item["host"], state(item), item["reason"])
        for item in summaries
    ]
    return aligned(_HEADINGS if headings else (), rows)


def aligned(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return rows under headings in aligned columns, escaped; nothing if there are no rows.

    What is longer than a column may be is printed whole, and moves the rest of its own row only.
    """
    rows = [*([headings] if headings else []), *([escape(cell) for cell in row] for row in cells)]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    return "".join(line + "\n" for line in lines)


def _meaning(summary: dict[str, Any]) -> list[tuple[str, str]]:
    if summary["meaning"] != "found":
        return [("meaning", summary["meaning_failure"] or "not looked for yet")]
    crash = summary["crash"]
    if not crash or not crash["signature"]:
        return []
    said = [("crash", crash["title"]), ("also called", ", ".join(crash.get("names", ())[1:]))]
    said += [
        ("trace", _trace(crash)),
        ("modules", " ".join(crash["modules"])),
        ("hardware", crash["hardware"]),
    ]
    said += [("group", crash["signature"])]
    return [(name, value) for name, value in said if value]


def _trace(crash: dict[str, Any]) -> str:
    return " < ".join(crash["trace"][:_FEW_FRAMES])


def groups_table(groups: Sequence[dict[str, Any]]) -> str:
    """Return one line for each group of crashes."""
    headings = ("GROUP", "HOSTS", "RECORDS", "FIRST (UTC)", "LAST (UTC)", "KERNELS", "STATE", "CRASH")
    return aligned(
        headings,
        [
            (
                item["signature"],
                str(item["hosts"]),
                str(item["records"]),
                _short(item["first"]),
                _short(item["last"]),
                " ".join(item["kernels"][:3]) + (" …" if len(item["kernels"]) > 3 else ""),
                item["status"]["state"],
                " / ".join(item["titles"]),
            )
            for item in groups
        ],
    )


def status(found: dict[str, Any]) -> str:
    """Return the state of a group in words."""
    words = [found["state"]]
    if found["state"] == "resolved":
        words.append(
            "in " + ", ".join(found["kernels"]) if found["kernels"] else "from " + _short(found["after"])
        )
    words += [f"until {_short(found['until'])}"] if found["until"] else []
    words += [f"by {found['by']}"] if found["by"] else []
    return " ".join(words)


def group_page(group: dict[str, Any]) -> str:
    """Return a group with all that was decided about it."""
    lines = [
        ("group", group["signature"]),
        ("crash", " / ".join(group["titles"]) or "no reason given"),
        ("state", status(group["status"])),
        ("seen", f"{group['records']} records of {group['hosts']} hosts"),
        ("first", _short(group["first"] or "") + f" ({group['first_record']})" * bool(group["first_record"])),
        ("last", _short(group["last"] or "") + f" ({group['last_record']})" * bool(group["last_record"])),
        *[("kernel", f"{one['kernel']} ({one['records']} records)") for one in group["by_kernel"]],
        *[("host", f"{one['host']} ({one['records']} records)") for one in group["by_host"][:_FEW_HOSTS]],
        *[
            ("trace", f"{_trace(one) or 'none'} ({one['records']} records, {one['last_record']})")
            for one in group["by_trace"]
        ],
    ]
    told = "".join(f"{name + ':':<8} {escape(value)}".rstrip() + "\n" for name, value in lines)
    changes = [
        (_short(one["at"]), one["by"] or "-", one["via"], one["action"], one["detail"], one["note"])
        for one in reversed(group["changes"])
    ]
    headings = ("WHEN (UTC)", "WHO", "BY WAY OF", "WHAT", "", "NOTE")
    return told + ("\n" + aligned(headings, changes) if changes else "")


def hosts_table(hosts: Sequence[dict[str, Any]]) -> str:
    """Return one line for each host."""
    headings = ("HOST", "STATE", "LAST SEEN (UTC)", "KERNEL", "MODULE", "INTERFACES", "LABELS")
    return aligned(
        headings,
        [
            (
                item["host"],
                item["state"] + (", in maintenance" if item["maintenance"] else ""),
                _short(item["last_seen"]),
                item["kernel"],
                item["module"],
                " ".join(sorted(item["interfaces"])),
                labels.shown(item["labels"]),
            )
            for item in hosts
        ],
    )


def windows_table(windows: Sequence[dict[str, Any]]) -> str:
    """Return one line for each maintenance window."""
    headings = ("WINDOW", "STATE", "FROM (UTC)", "UNTIL (UTC)", "HOSTS", "WHO", "WHY")
    return aligned(headings, [_window(item) for item in windows])


def _window(item: dict[str, Any]) -> tuple[str, ...]:
    ended = f" (ended {_short(item['ended'])} by {item['ended_by']})" if item["ended"] else ""
    hosts = " ".join(item["hosts"])
    when = (_short(item["from"]), _short(item["until"]) + ended)
    return (str(item["number"]), item["state"], *when, hosts, item["by"], item["note"])


def sinks_table(sinks: Sequence[dict[str, Any]]) -> str:
    """Return one line for each sink, and one for each record that it refused."""
    rows = [
        (item["sink"], item["state"], str(item["waiting"]), str(len(item["aside"])), item["complaint"])
        for item in sinks
    ]
    aside = [
        (one["id"], one["type"], one["host"], item["sink"], one["reason"])
        for item in sinks
        for one in item["aside"]
    ]
    told = aligned(("SINK", "STATE", "WAITING", "ASIDE", "COMPLAINT"), rows)
    return told + ("\n" + aligned(("SET ASIDE", "TYPE", "HOST", "SINK", "REASON"), aside) if aside else "")


def _short(time: str) -> str:
    return time[:19].replace("T", " ")


def header(summary: dict[str, Any]) -> str:
    """Return the block of ``name: value`` lines above a record's text."""
    source = summary["source"]
    heard = ", ".join(f"{name} {source[name]}" for name in ("mac", "ip", "iface") if source[name])
    lines: list[tuple[str, str]] = [
        ("record", summary["id"]),
        ("type", f"{summary['type']} ({summary['format']}{', sealed' if summary['sealed'] else ''})"),
        ("host", summary["host"]),
        *([("labels", labels.shown(summary["labels"]))] if summary["labels"] else []),
        ("reason", summary["reason"]),
        *_meaning(summary),
        ("time", summary["time"] or "not stated by the sender"),
        ("received", summary["received"]),
        ("state", state(summary)),
        *([("same crash", ", ".join(summary["same_crash"]))] if summary["same_crash"] else []),
        *([("restored", frames(summary["restored"]))] if summary["restored"] else []),
        (
            "text",
            f"{summary['bytes']} bytes" + (", older text was left out" if summary["older_text"] else ""),
        ),
        ("source", heard),
    ]
    if summary["boot_id"]:
        lines.append(("boot id", f"{summary['boot_id']}, event {summary['event']}"))
    lines += [(name, value) for name, value in in_words(summary["meta"]) if name not in _SHOWN_ELSEWHERE]
    width = min(_WIDEST, max(len(escape(name)) for name, _ in lines)) + 1
    return "".join(f"{escape(name) + ':':<{width}} {escape(value)}".rstrip() + "\n" for name, value in lines)


def in_words(meta: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names and values of metadata, with how long the kernel had run in words."""
    return [
        ("uptime", span(int(value) // 1_000_000_000))
        if name == "uptime_ns" and _NANOSECONDS.fullmatch(value)
        else (name, value)
        for name, value in meta.items()
    ]


def page(summary: dict[str, Any], record: Record, places: Places = (), colour: bool = False) -> str:
    """Return the header, the files and lines of the crash, and the text with readable levels and marked
    gaps; empty lines between them."""
    told = aligned((), [(one["code"], " < ".join(lines_of(one))) for one in places])
    return header(summary) + (f"\n{told}" if told else "") + "\n" + render_log(record.marked_text, colour)


def lines_of(place: dict[str, Any]) -> list[str]:
    """Return a place's lines in words, innermost first: those of inlined functions with their name."""
    *inlined, own = place["lines"] or [None]
    told = [f"{one['file']}:{one['line']} ({one['function']})" for one in inlined]
    return [*told, f"{own['file']}:{own['line']}"] if own else []


def as_json(summary: dict[str, Any], record: Record, places: Places = ()) -> dict[str, Any]:
    """Return the object that ``show --json`` prints: the summary and the text with marked gaps; and
    ``raw``, in base64 the bytes that arrived if ``text`` does not hold them exactly (some are
    missing, NUL or not UTF-8)."""
    text = record.marked_text.decode("utf-8", "backslashreplace")
    exact = text.encode() == record.received_text and "\0" not in text
    raw = None if exact else base64.b64encode(record.received_text).decode()
    return {**summary, "text": text, "raw": raw, "places": list(places)}


def file_name(summary: dict[str, Any]) -> str:
    """Return a file name for an exported record, in which nothing that the host sent can mean a
    path."""
    host = re.sub(r"[^A-Za-z0-9._-]", "_", summary["host"])[:64].lstrip(".") or "unknown"
    when = re.sub(r"[-:]", "", summary["received"][:19])
    return f"{when}Z_{host}_{summary['type']}_{summary['id']}.txt"
