# SPDX-License-Identifier: GPL-2.0-or-later
"""What only a crash tells of its machine: hardware, firmware, modules. Of hosts that never crashed nobody
knows it, so there is no rate: a group is put beside the other crashes instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from ..meaning.code import KERNEL
from . import crashes, numbers
from .fleet import MOST_VALUES, Ask, Asked
from .words import crash_of, texts_of

#: Crashes that are looked at, the newest; different values of them that are remembered at a time.
MOST_CRASHES, MOST_KNOWN = 5000, 20_000
#: What stands between the two in "Hardware name: VENDOR MODEL/BOARD, BIOS VERSION DATE".
_FIRMWARE = ", BIOS "


def _hardware(crash: Mapping[str, Any]) -> set[str]:
    return {told.partition(_FIRMWARE)[0] for told in texts_of(crash, "hardware")}


def _firmware(crash: Mapping[str, Any]) -> set[str]:
    # With the model: a version of one vendor says nothing of another's.
    return {told for told in texts_of(crash, "hardware") if _FIRMWARE in told}


def _modules(crash: Mapping[str, Any]) -> set[str]:
    """Return the guilty function's module, those of the trace where its code is kept, and those that taint
    the kernel."""
    code = (place.partition(" [")[2].rstrip("]").partition(" ")[0] for place in texts_of(crash, "code"))
    named = (one.partition("(")[0] for one in texts_of(crash, "module", "modules"))
    return {*code, *named} - {KERNEL}


#: How each is taken from what a crash means; "" is none.
TRAITS: Mapping[str, Callable[[Mapping[str, Any]], set[str]]] = {
    "hardware": _hardware,
    "firmware": _firmware,
    "module": _modules,
}


class _Counted(NamedTuple):
    """Crashes and hosts by what they told, and all that were looked at."""

    crashes: Mapping[str, int]
    hosts: Mapping[str, set[str]]
    all_crashes: int
    all_hosts: set[str]
    untold: int
    unsealed: int


def told(ask: Ask, asked: Asked, sealed: str) -> dict[str, Any]:
    """Return {values, crashes, untold: crashes that do not say, unsealed: of the crashes, cut: whether there
    may be more}; each of values is {value, crashes, crashed, of: hosts whose crashes say it, elsewhere:
    hosts with other crashes, of_elsewhere: those whose crashes say it}, the most hosts first. Without a
    group nothing is elsewhere. ``sealed`` says in SQL whether a record is."""
    here = _count(ask, asked, sealed, "signature = ?" if asked.group else "TRUE")
    others = _count(ask, asked, sealed, "signature != ?") if asked.group else None
    found: list[dict[str, Any]] = [
        {
            "value": value,
            "crashes": here.crashes[value],
            "crashed": len(hosts),
            "of": len(here.all_hosts),
            "elsewhere": len(others.hosts.get(value, ())) if others else 0,
            "of_elsewhere": len(others.all_hosts) if others else 0,
        }
        for value, hosts in here.hosts.items()
    ]
    found.sort(key=lambda one: (-one["crashed"], -one["crashes"], one["value"]))
    return {
        "values": found[:MOST_VALUES],
        "crashes": here.all_crashes,
        "untold": here.untold,
        "unsealed": here.unsealed,
        "cut": here.all_crashes + here.untold == MOST_CRASHES,
    }


def _count(ask: Ask, asked: Asked, sealed: str, which: str) -> _Counted:
    sql = (
        f"SELECT host, crash, {sealed} AS is_sealed FROM records "
        "WHERE type = 'panic' AND number >= ? AND signature != '' AND NOT doubted "
        f"AND {crashes.FIRST} AND {which} "
        f"{f'AND {sealed} ' if asked.sealed else ''}ORDER BY number DESC LIMIT ?"
    )
    values = [numbers.since(asked.since_ns), *filter(None, (asked.group,)), MOST_CRASHES]
    counts: dict[str, int] = {}
    hosts: dict[str, set[str]] = {}
    all_hosts: set[str] = set()
    total = untold = unsealed = 0
    trait = TRAITS[asked.by]
    for row in ask(sql, values):
        found = trait(crash_of(row["crash"])) - {""}
        # A crash without a module has none, if it is understood; one without hardware does not say.
        if not found and asked.by != "module":
            untold += 1
            continue
        total += 1
        unsealed += not row["is_sealed"]
        all_hosts.add(row["host"])
        for value in found:
            counts[value] = counts.get(value, 0) + 1
            hosts.setdefault(value, set()).add(row["host"])
        if len(hosts) > MOST_KNOWN:
            # A text can make up a hundred modules. What few hosts told is not shown anyway.
            for value in sorted(hosts, key=lambda one: len(hosts[one]))[: MOST_KNOWN // 2]:
                del hosts[value], counts[value]
    return _Counted(counts, hosts, total, all_hosts, untold, unsealed)
