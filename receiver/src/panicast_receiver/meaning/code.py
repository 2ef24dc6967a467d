# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds where in the kernel's code a crash was, as a text says it: for who has debug information. Pure.

A place is ``function+0xoffset/0xlength``, with `` [module]`` or `` [module build-id]`` behind it; or
``0xaddress`` in an image that is not moved, where the kernel prints no names. ``at `` stands before what
comes from registers; the others are addresses to which calls return.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .frames import StackFrame, begins_trace, normal
from .lines import Line
from .report import Report, Trace

#: Stands for a module's name where the build id of the kernel itself is known.
KERNEL = "vmlinux"
#: Before what comes from registers.
AT = "at "
#: Places that a record keeps.
_MOST = 32
_NAMED = re.compile(r"([A-Za-z_][\w.$]{0,200})(\+0x[0-9a-f]{1,16}/0x[0-9a-f]{1,16})")
_MODULE = re.compile(r" \[([\w-]{1,64})(?: ([0-9a-f]{8,64}))?\]")
#: An address without a name: in a trace, and in registers.
_RAW = re.compile(r"[ \t]{0,9}(?:\[<)?(?:0x)?([0-9a-f]{16})(?:>\])?[ \t]{0,9}(?:0x[0-9a-f]{16})?$")
_RAW_AT = re.compile(r"(?:RIP: [0-9a-f]{4}:(?:\[<)?|pc : |epc : )(?:0x)?([0-9a-f]{16})\b")
_OFFSET = re.compile(r"Kernel Offset: (?:(disabled)|0x([0-9a-f]{1,16}))\b")
_KERNEL_ID = re.compile(r"CPU: .{10,300} ([0-9a-f]{40})$")
#: Addresses below are not the kernel's.
_LOWEST = 1 << 63


def places_in_code(report: Report, trace: Trace, lines: Sequence[Line], begin: int) -> tuple[str, ...]:
    """Return the places of a report whose ``trace`` is shown: of the registers, then of the trace."""
    found = list(zip(report.ats[:1], report.at_lines[:1])) + list(zip(trace.frames, trace.lines))
    own = _kernels_own(lines, begin) if found else ""
    told = (_place(frame, text, own) for frame, text in found if frame.sure)
    named = [place for place in told if place][:_MOST]
    return tuple(named or list(_raw(lines, begin))[:_MOST])


def _place(frame: StackFrame, text: str, own: str) -> str:
    for found in _NAMED.finditer(text):
        if normal(found[1]) != frame.name:
            continue
        if not frame.module:
            inside = f" [{KERNEL} {own}]" if own else ""
        else:
            of = next((one for one in _MODULE.finditer(text) if one[1] == frame.module), None)
            inside = f" [{frame.module} {of[2]}]" if of and of[2] else f" [{frame.module}]"
        return f"{AT if frame.at else ''}{found[1]}{found[2]}{inside}"
    return ""


def _kernels_own(lines: Sequence[Line], begin: int) -> str:
    """Return the kernel's build id, which some print behind the version; "" if there is none."""
    for line in lines[begin:]:
        if line.text.startswith("CPU: ") and (found := _KERNEL_ID.match(line.text)):
            return found[1]
    return ""


def _raw(lines: Sequence[Line], begin: int) -> Iterator[str]:
    """Yield the places of a crash whose addresses have no names, if the text says how far the kernel
    was moved."""
    moved = next((found for line in reversed(lines) if (found := _OFFSET.match(line.text))), None)
    if moved is None:
        return
    offset = 0 if moved[1] else int(moved[2], 16)
    within = False
    for line in lines[begin:]:
        text = line.text
        if found := _RAW_AT.match(text):
            yield from _moved_back(found[1], offset, AT)
        elif begins_trace(text):
            within = True
        elif within:
            if found := _RAW.match(text):
                yield from _moved_back(found[1], offset, "")
            elif not text.lstrip().startswith(("<", "?")):
                return


def _moved_back(address: str, offset: int, before: str) -> Iterator[str]:
    value = int(address, 16) - offset
    if value >= _LOWEST:
        yield f"{before}{value:#x}"
