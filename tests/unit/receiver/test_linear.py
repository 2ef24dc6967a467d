# SPDX-License-Identifier: GPL-2.0-or-later
"""What the network feeds costs linear time: four times as much takes about four times as long."""

import importlib
import inspect
import pkgutil
import re
import time

import pytest

import panicast_receiver
from panicast_receiver.meaning import understand
from panicast_receiver.records.extents import Run
from panicast_receiver.records.record import Source, headerless
from panicast_receiver.text import escape, render_log, shorten
from panicast_receiver.web import logtext
from panicast_receiver.wire.netconsole import parse_netconsole
from panicast_receiver.wire.v1 import parse_metadata

#: Bytes that are tried first; quadratic would be 16 times as long for four times as much.
SIZE, TIMES, MOST = 16 << 10, 4, 12
TRIES = 5
#: What is faster than this tells nothing, seconds.
FLOOR_S = 0.02

HOSTILE = {
    "newlines": b"\n",
    "letters": b"a",
    "blanks": b" ",
    "levels": b"<6>[    1.0] ",
    "gaps": b"[panicast: 1",
    "properties": b",abc=",
    "commas": b",a",
    "panics": b"Kernel panic - not syncing: ",
    "no-utf8": b"\xff",
    "escapes": b"\x1b[",
    "cpu": b"CPU: 1 PID: 1 Comm: a ",
    "tainted": b" Tainted: ",
    "modules": b"Modules linked in: a(O) ",
    "frames": b" a+0x1/0x2 [b] (P)",
    "keys": b"a=b\n",
}


def _reason(data):
    record = headerless("raw", data, data, 1, 0, Source(), b"")
    return record.reason, record.runs == (Run(0, data),)


FED = {
    "understand": lambda data: understand(data.decode("utf-8", "backslashreplace"), ""),
    "render_log": lambda data: render_log(data, True),
    "escape": lambda data: escape(data.decode("latin-1")),
    "shorten": lambda data: shorten(data.decode("latin-1"), 512),
    "logtext": lambda data: logtext.read(logtext.part(data, 1).data),
    "netconsole": lambda data: parse_netconsole(b"6.1.0,0,441,9000000,-" + data + b";x"),
    "netconsole text": lambda data: parse_netconsole(b"6.1.0,0,441,9000000,-;" + data),
    "metadata": parse_metadata,
    "reason": _reason,
}


def cost(work, data):
    """Seconds, the best of three."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work(data)
        times.append(time.process_time() - began)
    return min(times)


def grows(work, few, more, most, floor_s):
    """Whether more takes longer than ``most`` times few, each time that it is tried: a virtual machine may
    count for ours what its host's others take."""
    return cost(work, more) > floor_s and not any(
        cost(work, more) < most * cost(work, few) for _ in range(TRIES)
    )


@pytest.mark.parametrize("name", FED)
def test_four_times_as_much_takes_four_times_as_long(name):
    for kind, unit in HOSTILE.items():
        for head in (b"", b"<0>Kernel panic - not syncing: x\n"):
            data = (head + unit * (SIZE // len(unit)))[:SIZE]
            more = (head + unit * (TIMES * SIZE // len(unit)))[: TIMES * SIZE]
            assert not grows(FED[name], data, more, MOST, FLOOR_S), f"{name} of {kind}"


#: What a pattern may be given for ever.
UNITS = (
    *("a", "1", " ", "a ", "1 ", "[", "]", "<", "(", "[<", "a.", "a+0x1/0x2 ", "0x1 ", "a:", "1:", "a=b,"),
    *("\x1b[", "a_", "a-", "aB", "/a", "a/", "% ", ";", "\n", "a\n", "\\x"),
)
#: Rooms whose patterns see what the network says.
READERS = re.compile(r"panicast_receiver\.(?:meaning|wire|text|capture|assembly|records|web\.logtext)\b")


def patterns():
    """Each pattern of a module's own, with the ways in which the module uses it."""
    for module in pkgutil.walk_packages(panicast_receiver.__path__, "panicast_receiver."):
        if READERS.match(module.name):
            loaded = importlib.import_module(module.name)
            source = inspect.getsource(loaded)
            for name, value in vars(loaded).items():
                if isinstance(value, re.Pattern) and re.search(rf"^{name}\b.*= ", source, re.MULTILINE):
                    used = set(re.findall(rf"\b{name}\.(\w+)", source)) - {"match", "fullmatch"}
                    yield pytest.param(value, "search" if used else "match", id=f"{module.name}.{name}")


@pytest.mark.parametrize(("pattern", "way"), list(patterns()))
def test_no_pattern_takes_eight_times_the_text_for_more_than_about_eight_times_the_time(pattern, way):
    for unit in UNITS:
        piece = unit if isinstance(pattern.pattern, str) else unit.encode()
        few, more = ((piece * size)[:size] for size in (1 << 10, 8 << 10))
        assert not grows(getattr(pattern, way), few, more, 24, FLOOR_S / 10), unit
