# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv smoke --places: finds the functions that panicast calls in a panic, and those that hold the
locks it takes, from the kernel's own function graph."""

from __future__ import annotations

import re
from dataclasses import replace

from panicast_build.core import progress, tables, tools
from panicast_build.core.choice import choose
from panicast_build.core.errors import BuildError
from panicast_build.core.paths import LOGS
from panicast_build.crash import guest, places
from panicast_build.crash.cases import TABLE, Case
from panicast_build.crash.guest import Outcome
from panicast_build.crash.kit import NICS, Kit, kit
from panicast_build.crash.places import Lists
from panicast_build.engine import engine
from panicast_build.smoke import vm
from panicast_build.targets import kernels

LINES = re.MULTILINE | re.DOTALL
# The function that sends, and all that it calls: how deep is in the spaces.
GRAPH = re.compile(r"^\[[ \d.]+\] pc_xmit_last_words \[panicast\]\(\) \{$.*?^\[[ \d.]+\] \}$", LINES)
# What the probes themselves come by.
PROBE = re.compile(r"^\[[ \d.]+\]( +)kprobe_ftrace_handler\(\) \{$.*?^\[[ \d.]+\]\1\}$", LINES)
# "function [module]();" or, where it calls others, "{"; what probes tell is in comments.
CALL = re.compile(r"^\[[ \d.]+\] +([A-Za-z_][\w.]*)(?: \[\w+\])?\(\)(?:;| \{)$", re.MULTILINE)
TAKEN = re.compile(r"/\* taken: .*\block=0x([0-9a-f]+)")
GIVEN = re.compile(r"^LOCK ([0-9a-f]+) (\S+)", re.MULTILINE)
# By the name of a list: the table of cases.toml whose cases send in this format.
FORMATS = {"v1": "at", "raw": "at-raw", "sealed": "at-sealed"}
# On one CPU: an emulated one may run for ever what the other has patched.
TRACED = Case(
    name="traced",
    append="maxcpus=1 ftrace_dump_on_oops=orig_cpu trace_buf_size=24M",
    after="traced",
    life=600,
)


def run(kernel: str, nic: str) -> None:
    """Traces a panic of each kernel, card and format and writes their functions to places.toml. The
    comma lists of names mean all that are there for "". Raises BuildError for a guest that did not
    report them."""
    tools.need(vm.QEMU, "setpriv")
    found, models = dict(places.load()), vm.devices()
    known = {name: name for name, card in NICS.items() if card.model in models}
    client = engine.connect()
    for each in kernels.select(kernel):
        cards = [card for card in choose("network card", nic, known) if nic or (each.name, card) in found]
        if not cards:
            continue
        made = kit(client, each)
        for card in cards:
            with progress.step(f"tracing {made.release} with {card}", log=LOGS):
                found[each.name, card] = trace(made, card)
            places.save(found)


def trace(made: Kit, nic: str) -> Lists:
    """Returns the lists of a kernel with a card: see places.toml."""
    lists: Lists = {}
    holders: set[str] = set()
    for form, crashes in FORMATS.items():
        outcome = guest.crash(made, nic, of_format(crashes))
        functions = reached(outcome)
        if not functions:
            console = LOGS / f"traced-{made.name}-{nic}-{form}.console"
            console.write_text(outcome.console)
            raise BuildError(f"{made.release} with {nic} did not report its functions", console)
        lists[form] = sorted(functions - {name for known in lists.values() for name in known})
        holders |= held(outcome)
    return {**lists, "holders": sorted(holders)}


def of_format(table: str) -> Case:
    """Returns the traced crash that sends like the cases of a table."""
    like = {key: value for key, value in tables.load(TABLE)[table].items() if key in ("load", "modules")}
    known = tables.value(TABLE, table, like, Case)
    return replace(TRACED, load=known.load, modules=known.modules)


def _graph(outcome: Outcome) -> str:
    graph = GRAPH.search(outcome.console.replace("\r", ""))
    return graph[0] if graph else ""


def reached(outcome: Outcome) -> set[str]:
    """Returns the functions in the function graph."""
    return set(CALL.findall(PROBE.sub("", _graph(outcome))))


def held(outcome: Outcome) -> set[str]:
    """Returns the functions that released, before the panic, a lock that is taken on the way."""
    taken = set(TAKEN.findall(_graph(outcome)))
    return {function for lock, function in GIVEN.findall(outcome.console) if lock in taken}
