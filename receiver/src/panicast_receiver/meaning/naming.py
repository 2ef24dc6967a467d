# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is guilty, and what a crash is called. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from .format import Format
from .frames import Frame, symbol_in
from .innocent import DISPATCHERS, LAST_RESORT, TICKS, WATCHING, Names
from .report import Report

MOST_TITLE = 120
#: A system call's function has a name for each way in.
_SYSCALL = re.compile(
    r"(?:__(?:x64|ia32|x32|arm64|riscv|s390x?|powerpc|se|do)_)?(?:compat_)?(?:sys|SyS|SYSC|C_SYSC)_(?=[a-z])"
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8,32}\b|\b\d+\b")
_SPACES = re.compile(r"\s{2,}")
#: One CPU waits for others in these: which of them it is depends on how many others there are.
_FAMILIES = ("smp_call_function", "synchronize_rcu")
#: Another name for the same in kernels without preemption.
_OLDER = {"synchronize_sched": "synchronize_rcu"}
#: What older kernels could not tell apart.
_SAME = {"double-free or invalid-free": "invalid-free", "double-free": "invalid-free"}


def function_name(name: str) -> str:
    """A function as titles call it."""
    if name in _OLDER:
        return _OLDER[name]
    return _SYSCALL.sub("sys_", name, count=1) if "_" in name and _SYSCALL.match(name) else name


def plain(words: str) -> str:
    """Words without what differs from crash to crash: addresses, numbers, ends of sentences."""
    words = _ADDRESS.sub("N", words[:400].partition(". ")[0])
    return _SPACES.sub(" ", words).strip().rstrip(".!:, ")


def guilty(form: Format, named: str, report: Report) -> Frame | None:
    """The function to blame: what the header names, then where the format says to look; who is never guilty
    is passed over as long as there is another."""
    suspects = list(_suspects(form, named, report))
    for innocent in (form.innocent, LAST_RESORT):
        for found in suspects:
            if found.name not in innocent:
                return found
    return suspects[-1] if suspects else None


def _suspects(form: Format, named: str, report: Report) -> Iterator[Frame]:
    if named:
        yield Frame(named)
    for where in form.look:
        if where == "lock":
            yield from report.locks[:2]
        elif where == "became":
            yield from report.became
        elif where == "workqueue" and report.workqueue:
            yield Frame(report.workqueue)
        elif where == "at":
            yield from report.ats[:1]
        elif where in ("trace", "backtrace"):
            yield from _told(report)
        elif where == "stuck":
            yield from _stuck(report, form.innocent)
        elif where == "deep":
            yield from _deep(report, form.innocent)


def _told(report: Report) -> Iterator[Frame]:
    """Frames, the likeliest first: sure ones of the traces that count, then the doubtful."""
    mine = [trace for trace in report.traces if not trace.aside]
    for trace in mine[:1] or report.traces[:1]:
        yield from (found for found in trace.frames if found.sure)
    for trace in mine[1:3]:
        yield from (found for found in trace.frames if found.sure)
    for trace in mine[:1]:
        yield from (found for found in trace.frames if not found.sure)


def _stuck(report: Report, innocent: Names) -> Iterator[Frame]:
    """What a CPU was busy with: named by the outermost function that is the work's own."""
    mine = [trace.frames for trace in report.traces if not trace.aside]
    for frames in mine:
        told = [found for found in frames if found.sure]
        inner = _interrupted(told)
        if inner is told and report.ats and frames is mine[0]:
            inner = [report.ats[0], *told]
        work = _work(inner, innocent)
        if work:
            yield work
    yield from report.ats[:1]


def _interrupted(frames: Sequence[Frame]) -> Sequence[Frame]:
    """What follows the timer's interrupt; all where there is none."""
    if not frames or frames[0].name not in WATCHING:
        return frames
    last = -1
    for number, found in enumerate(frames):
        if found.name in TICKS:
            last = number
        elif last >= 0:
            break
    return frames[last + 1 :] if last >= 0 else frames


def _work(frames: Sequence[Frame], innocent: Names) -> Frame | None:
    own = [found for found in frames if found.name not in innocent]
    for found in own[:3]:
        if found.name.startswith(_FAMILIES[0]):
            return found
    if called := _called(frames, innocent):
        return called[0]
    for found in own:
        if _SYSCALL.match(found.name):
            return found
    return own[0] if own else None


def _called(frames: Sequence[Frame], innocent: Names) -> list[Frame]:
    """Who was called through a pointer, the innermost first; those who do the same themselves come after."""
    called = [
        inner
        for inner, outer in zip(frames, frames[1:])
        if outer.name in DISPATCHERS and inner.name not in innocent
    ]
    return [one for one in called if one.name not in DISPATCHERS] or called


def _deep(report: Report, innocent: Names) -> Iterator[Frame]:
    """Who went so deep that the stack ended: the outermost function that is the work's own."""
    for trace in report.traces:
        if trace.aside:
            continue
        own = [found for found in trace.frames if found.sure]
        if called := _called(own, innocent):
            yield called[-1]
        yield from (found for found in own if _SYSCALL.match(found.name))
    yield from report.ats[:1]
    yield from _told(report)


def title(form: Format, values: dict[str, str], report: Report, culprit: Frame | None) -> str:
    """What happened and where, in a line."""
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
    """The functions of a race, in one order whoever came first."""
    return " / ".join(sorted(symbol_in(part) or part.strip() for part in named.split(" / ")))


def key(name: str) -> str:
    """A digest of a name: the same for functions that stand for each other."""
    for now, before in _SAME.items():
        name = name.replace(now, before)
    for family in _FAMILIES:
        if family in name:
            name = name[: name.index(family) + len(family)]
    return blake2b(name.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
