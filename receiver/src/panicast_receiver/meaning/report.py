# SPDX-License-Identifier: GPL-2.0-or-later
"""Splits a report's lines: registers, traces, locks, and what the header says of the machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from .frames import (
    ENDS,
    REGISTERS,
    TRACES,
    StackFrame,
    begins_trace,
    caller,
    ends_trace,
    frame,
    place,
    symbol_in,
)
from .lines import Line

#: Lines after the first that a report may have, and frames of a trace that are kept.
MOST_LINES = 1000
MOST_FRAMES = 1000
#: Traces after these lines are not the crashed task's: they show who allocated, freed, took another
#: lock or waits.
_ASIDE = (
    *(
        "Allocated by",
        "Freed by",
        "allocated by",
        "freed by",
        "Uninit was",
        "Local variable",
        "Last potentially",
    ),
    *("Second to last", "-> #", "the existing dependency", "the dependencies between", "INFO: Allocated in"),
    *(
        "INFO: Freed in",
        "Allocated in ",
        "Freed in ",
        "page last allocated",
        "page last free",
        "page allocated via",
    ),
    # Where s390 last jumped from.
    "Last Breaking-Event-Address",
    *("kfence-#", "Kernel stack of", "hardirqs last", "softirqs last", "stack of task", "Last related work"),
    *(
        "page last ",
        "which lock already depends",
        "to a ",
        "... acquired at",
        "... which became",
        "... key at",
    ),
)
#: Stands for arm's line where an interrupt came.
EXCEPTION = StackFrame("apic_timer_interrupt")
_ACCESS = ("Read of size", "Read at addr", "Write of size", "Write at addr")
_KTHREAD = ("RCU grace-period kthread stack dump", "Stack dump where RCU GP kthread")
#: A line that is not a frame is read only if it begins with, or contains, one of these.
_TELLING = (
    *TRACES,
    *REGISTERS,
    *ENDS,
    *_ASIDE,
    *_ACCESS,
    *_KTHREAD,
    "rcu: ",
    "Exception stack",
    "at: ",
    "caller is ",
)
_CPU = re.compile(
    r"(?:CPU: \d{1,5} )?(?:UID: \d{1,10} )?P(?:ID|id): \d{1,10},? [Cc]omm: (?P<comm>.{1,40}?) "
    r"(?:Kdump: loaded )?(?P<taint>Not tainted|Tainted: [A-Z ]{0,40}(?:\([A-Z]{1,12}\))? {0,40}) "
    r"{0,40}(?:-{1,40} {1,10})?(?P<kernel>\d{1,3}\.\d{1,3}\S{0,80})?"
)
_MACHINE = ("Hardware name: ", "Modules linked in:", "CPU: ", "Pid: ", "PID: ")
_TAINTED_MODULE = re.compile(r"([\w-]{1,64})\(([A-Z+-]{1,16})\)")


@dataclass
class Trace:
    """A stack trace. ``aside`` says that it is not the trace of the task that crashed. ``lines`` are
    those in which the frames stand."""

    aside: bool = False
    frames: list[StackFrame] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What a report says.

    ``locks``: functions that take locks, the lock in question first. ``became``: the trace in which
    a lock became one that interrupts take. ``ats``: where registers say the CPU was, in which lines:
    ``at_lines``. ``allocated``: who allocated the page. ``callers``: functions that the complaint
    itself names. ``told``: all frames and registers in order, with None before each trace.
    """

    locks: list[StackFrame] = field(default_factory=list)
    became: list[StackFrame] = field(default_factory=list)
    ats: list[StackFrame] = field(default_factory=list)
    at_lines: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    allocated: list[StackFrame] = field(default_factory=list)
    callers: list[StackFrame] = field(default_factory=list)
    in_order: list[StackFrame | None] = field(default_factory=list)
    access: str = ""
    workqueue: str = ""
    next: str = ""
    hardware: str = ""


def take_apart(lines: Sequence[Line]) -> Report:
    """Return what a report says, from its lines, the first included."""
    report = Report()
    current: Trace | None = None
    aside = kthread = lock_follows = became = allocated = False
    for number, line in enumerate(lines[: MOST_LINES + 1]):
        text = line[0]
        if number == 1:
            report.next = text.strip()
        if found := frame(text):
            if number and lines[number - 1][0].endswith((" RIP:", " RIP: ")):
                # Before 2.6.20 it had a line of its own.
                report.ats.append(found._replace(at=True))
                report.at_lines.append(text)
                continue
            if lock_follows:
                report.locks.append(found)
                lock_follows = False
                continue
            if found.sure:
                report.in_order.append(found)
            if became:
                report.became.append(found)
            if allocated:
                report.allocated.append(found)
            if current is None or (aside and not current.aside):
                current = Trace(aside)
                report.traces.append(current)
            if len(current.frames) < MOST_FRAMES:
                _append(current, found, text)
                if " from " in text and (outer := caller(text)):
                    _append(current, outer, text)
            continue
        stripped = text.lstrip()
        if not stripped:
            continue
        if not (
            stripped.startswith(_TELLING)
            or " at:" in text
            or " last function: " in text
            or "[Hardware Error]: Machine check: " in text
        ):
            became = False
            continue
        if begins_trace(text):
            current = Trace(kthread)
            aside = kthread
            kthread = allocated = False
            report.traces.append(current)
            report.in_order.append(None)
            continue
        if where := place(text):
            report.ats.append(where)
            report.at_lines.append(text)
            report.in_order.append(where)
            continue
        if number and ends_trace(text):
            if current is not None and current.frames:
                current = None
            if text.startswith("---[ end") and report.traces:
                break
        if stripped.startswith("rcu: "):
            stripped = stripped[5:].lstrip()
        became = " which became " in text and text.endswith(" at:") and not report.became
        if stripped.startswith("page last allocated"):
            allocated = not report.allocated
        elif stripped.startswith("Exception stack"):
            report.in_order.append(EXCEPTION)
        if " at: " in text or stripped.startswith("at: "):
            if name := symbol_in(text):
                report.locks.append(StackFrame(name))
        elif stripped.startswith(_ASIDE) or stripped.endswith("state was registered at:"):
            aside, current = True, None
        elif stripped.endswith(" at:"):
            lock_follows = True
        elif stripped.startswith(_KTHREAD):
            kthread, current = True, None
        elif stripped.startswith(_ACCESS):
            report.access = report.access or stripped.split(" ", 1)[0]
        elif "[Hardware Error]: Machine check: " in text:
            report.hardware = report.hardware or text.partition("Machine check: ")[2].strip()
        elif stripped.startswith("caller is "):
            report.callers += [StackFrame(name)] if (name := symbol_in(text)) else []
        elif " last function: " in text:
            report.workqueue = text.partition(" last function: ")[2].strip().split("+")[0]
    return report


def _append(trace: Trace, found: StackFrame, text: str) -> None:
    """Add a frame, unless it repeats the last one: the next line often names the caller again."""
    frames = trace.frames
    if not (frames and frames[-1].sure and frames[-1].name == found.name):
        frames.append(found)
        trace.lines.append(text)


def trace_of(report: Report) -> Trace:
    """Return the trace to show: of the guilty task, else the first one that there is."""
    traces = [trace for trace in report.traces if trace.frames]
    return next((trace for trace in traces if not trace.aside), traces[0] if traces else Trace())


@dataclass(frozen=True)
class Machine:
    """What a text says of where the crash happened."""

    comm: str = ""
    kernel: str = ""
    taint: str = ""
    hardware: str = ""
    modules: tuple[str, ...] = ()


def machine(lines: Sequence[Line], begin: int) -> Machine:
    """Return what a text says of the machine.

    Looks first from line ``begin`` on, where the crash begins, then at the lines before it.
    """
    comm = kernel = taint = hardware = ""
    modules: tuple[str, ...] = ()
    for line in chain(islice(lines, begin, None), islice(lines, begin)):
        text = line[0]
        if not text.startswith(_MACHINE):
            continue
        if text.startswith("Hardware name: "):
            hardware = hardware or text[15:].strip()
        elif text.startswith("Modules linked in:"):
            modules = modules or tuple(f"{name}({flags})" for name, flags in _TAINTED_MODULE.findall(text))
        elif not comm and (found := _CPU.match(text)):
            comm, kernel = found["comm"], found["kernel"] or ""
            taint = "" if found["taint"] == "Not tainted" else found["taint"][9:].replace(" ", "")
        if comm and hardware and modules:
            break
    return Machine(comm, kernel, taint, hardware, modules)
