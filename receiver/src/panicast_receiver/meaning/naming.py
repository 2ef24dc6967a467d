# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the guilty function, and names the crash. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from .format import Format
from .frames import StackFrame, symbol_in
from .innocent import ANCHOR, AWAITED, AWAY, LAST_RESORT, RUNNERS, TICKS
from .report import Report

MOST_TITLE = 120
#: Prefixes of a system call's function, one for each way in.
_SYSCALL = re.compile(
    r"(?:__(?:x64|ia32|x32|arm64|riscv|s390x?|powerpc|se|do)_)?(?:compat_)?(?:_{2,4}sys|ksys|sys|SyS|SYSC|C_SYSC)_(?=[a-z])"
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8,32}\b|\b\d+\b")
#: Suffixes that the compiler adds to a function's name: they differ from build to build.
_COMPILED = re.compile(r"(?<=\w)\.(?:cold|isra|constprop|part)\b(?:\.\d{1,9}\b)?")
_SPACES = re.compile(r"\s{2,}")
#: A task that waits in any of these waits for the same thing.
_SAME_WAIT = ("synchronize_srcu", "synchronize_net", "synchronize_sched")


def function_name(name: str) -> str:
    """Return a function as titles write it."""
    return _SYSCALL.sub("sys_", name, count=1) if "_" in name and _SYSCALL.match(name) else name


def plain(words: str) -> str:
    """Return words without what differs from crash to crash: addresses, numbers, ends of sentences."""
    words = _ADDRESS.sub("N", _COMPILED.sub("", words[:400].partition(". ")[0]))
    return _SPACES.sub(" ", words).strip().rstrip(".!:, ]")


def guilty(form: Format, named: str, report: Report) -> StackFrame | None:
    """Return the function to blame: look where the format says, and pass over innocent functions
    while there is another."""
    places = [_PLACES[where](named, report) for where in form.look]
    if form.pick != "first":
        for frames in places:
            if found := _PICKS[form.pick]([one for one in frames if one.name not in form.innocent]):
                return found
    suspects = [one for frames in places for one in frames]
    for innocent in (form.innocent, LAST_RESORT):
        for number, found in enumerate(suspects):
            if found.name not in innocent:
                called = suspects[number - 1] if number and found.name in RUNNERS else found
                return found if called.name in LAST_RESORT else called
    return suspects[-1] if suspects else None


def _trace(report: Report) -> list[StackFrame]:
    """Return the frames of the traces that count, the likeliest first: sure ones, then doubtful
    ones."""
    mine = [trace for trace in report.traces if not trace.aside]
    told = [found for trace in mine[:1] or report.traces[:1] for found in trace.frames if found.sure]
    told += [found for trace in mine[1:3] for found in trace.frames if found.sure]
    return told + [found for trace in mine[:1] for found in trace.frames if not found.sure]


def _running(report: Report) -> list[StackFrame]:
    """Return what the CPU was doing, and how it came there: registers, and the trace that follows
    them."""
    begin = next((n for n, one in enumerate(report.in_order) if one is not None and one.at), -1)
    if begin < 0 and report.traces and all(trace.aside for trace in report.traces):
        # Nobody is known but the thread that watches: its outermost function is its name.
        return [one for one in report.traces[0].frames if one.sure and one.name.endswith("_kthread")]
    frames = report.in_order[begin : begin + 1] if begin >= 0 else []
    inside = False
    for found in report.in_order[begin + 1 :]:
        if found is None and inside:
            break
        inside = inside or found is None
        if inside and found is not None and not found.at:
            frames.append(found)
    return [one for one in frames if one is not None] + ([] if inside else _trace(report))


def _interrupted(report: Report) -> list[StackFrame]:
    """Return what the timer interrupted: registers after its interrupt, and the rest of that trace."""
    inside = False
    frames: list[StackFrame] = []
    for found in report.in_order:
        if not frames:
            inside = inside or (found is not None and found.name in TICKS)
            if inside and found is not None and found.at:
                frames.append(found)
        elif found is None:
            break
        elif not found.at:
            frames.append(found)
    return frames


def _beyond(report: Report) -> list[StackFrame]:
    """Return what the timer interrupted, if there are no registers: the trace beyond the
    interrupt."""
    frames: list[StackFrame] = []
    for found in report.in_order:
        if found is None and frames:
            break
        if frames or (found is not None and found.name in TICKS):
            frames += [found] if found is not None and not found.at else []
    return frames[1:]


#: The places where a guilty function may be, by name.
_PLACES: Mapping[str, Callable[[str, Report], list[StackFrame]]] = {
    "named": lambda named, report: [StackFrame(named)] if named else [],
    "at": lambda named, report: report.ats[:1],
    "trace": lambda named, report: _trace(report),
    "lock": lambda named, report: report.locks[:2],
    "first lock": lambda named, report: report.locks[:1],
    "chain": lambda named, report: [one for trace in report.traces for one in trace.frames if one.sure],
    "became": lambda named, report: report.became,
    "allocated": lambda named, report: report.allocated,
    "caller": lambda named, report: report.callers,
    "workqueue": lambda named, report: [StackFrame(report.workqueue)] if report.workqueue else [],
    "running": lambda named, report: _running(report),
    "interrupted": lambda named, report: _interrupted(report),
    "beyond": lambda named, report: _beyond(report),
}


def _called(frames: Sequence[StackFrame]) -> StackFrame | None:
    """Return what runs without end: the work's own outermost function.

    A CPU may be caught anywhere in what that function calls. The frame outside of it is one that
    calls everybody (ANCHOR).
    """
    for number, found in enumerate(frames):
        if "smp_call_function" in found.name:
            return found
        if function_name(found.name).removeprefix("sys_") in ANCHOR:
            return frames[max(0, number - 1)]
    return None


def _awaited(frames: Sequence[StackFrame]) -> StackFrame | None:
    """Return what a task sleeps for."""
    for found in frames:
        if any(name in found.name for name in _SAME_WAIT):
            return found._replace(name="synchronize_rcu")
        if any(name in found.name for name in AWAITED):
            return found
    return next((found for found in frames if found.name not in AWAY), None)


_PICKS: Mapping[str, Callable[[Sequence[StackFrame]], StackFrame | None]] = {
    "called": _called,
    "awaited": _awaited,
}


def title(form: Format, values: dict[str, str], report: Report, culprit: StackFrame | None) -> str:
    """Return what happened and where, in one line."""
    where = function_name(culprit.name) if culprit else ""
    what = plain(values.get("what") or "")
    parts = {
        "what": what,
        "access": f" {report.access}"
        if report.access and "free" not in what.replace("after-free", "")
        else "",
        "in": f" in {where}" if where else "",
        "where": _both(values.get("where") or ""),
        "rest": plain(values.get("rest") or ""),
        "next": plain(report.next),
        "hardware": f": {plain(report.hardware)}" if report.hardware else "",
    }
    return form.title.format_map(parts)[:MOST_TITLE].rstrip()


def _both(named: str) -> str:
    """Return the functions of a race, in the same order whichever came first."""
    return " / ".join(sorted(symbol_in(part) or part.strip() for part in named.split(" / ")))
