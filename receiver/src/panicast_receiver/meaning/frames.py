# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses stack frames, and the registers that say where a CPU was, as each architecture prints
them. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from .rust import demangled

#: How registers' lines name where the CPU was: x86, arm, arm64, riscv, ppc, s390, LoongArch and MIPS.
REGISTERS = (
    *("RIP: ", "RIP  [", "EIP: ", "EIP is at ", "IP: "),
    *("pc : ", "PC is at ", "epc : ", "epc   : ", "sepc: ", "NIP [", "NIP: ", "NIP  ", "Krnl PSW : "),
    *("era : ", "ERA: ", "era   : ", "pc   : "),
)
#: x86's code segments of user space: such a RIP is not in the kernel.
_USER = ("RIP: 0033:", "RIP: 002b:", "RIP: 0023:", "EIP: 0073:", "EIP: 0023:", "EIP: 0033:")
#: The text before the function, with or without the code segment.
_SEGMENT = re.compile(r"[RE]IP: (?:[0-9a-f]{4}:)?")
#: How traces begin.
TRACES = ("Call Trace:", "Call trace:", "Backtrace:", "backtrace:", "stack backtrace:", "Call Backtrace:")
#: Lines that end a trace.
ENDS = (
    *("---[ end ", "Modules linked in:", "Kernel Offset:", "Rebooting in ", "SMP: stopping "),
    *("======", "Kernel panic - not syncing", "Showing all locks held", "NMI backtrace for cpu "),
    *("Mem-Info:", "Memory state around "),
)
#: Marks between frames where the stack changes.
_STACKS = re.compile(r"</?(?:IRQ|EOI|TASK|NMI|SOFTIRQ|#DF|#DB|#MC|#VC|ENTRY_TRAMPOLINE|EOE)> ?")
_INNER_STAMP = re.compile(r"\[ {0,12}\d{1,10}\.\d{1,9}\] ?")
#: Text allowed before a frame's function: addresses in brackets, the mark of a frame that may be
#: stale.
_LEAD = re.compile(r"\s*(?:\(?\[[<0-9a-fx >-]{0,40}\] *\(?|\(?\[[<( a-z>]{0,30}\] *){0,2}(\? )?[(.]{0,2}$")
#: A frame to which a script has added file and line.
_LOCATED = re.compile(
    r"\s{0,9}(\? )?([A-Za-z_][\w.$]{1,200}) \(?([\w+./-]{3,300}\.[chS]:\d{1,6})(?:\)|:\d{1,4}|(?= )|$)"
)
#: arm today: the callee, then its caller.
_FROM = re.compile(
    r"\s{0,9}([A-Za-z_][\w.$]{1,200})(?: \[([\w-]{1,64})\])? from [A-Za-z_][\w.$]{0,200}(?:\+0x| \(|$)"
)
_ARM = re.compile(
    r"\s{0,9}\[<[0-9a-f]{8}>\] \(([A-Za-z_][\w.$]{1,200})(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?"
    r"(?: \[([\w-]{1,64})\])?\) from "
)
#: Before 2.6.20 x86-64 put the module first.
_MODULE_FIRST = re.compile(r":([\w-]{1,64}):(?=[A-Za-z_])")
_NAME = re.compile(r"[A-Za-z_$<][\w.$<>:]{0,500}")
_BARE = re.compile(r"(?![0-9a-f]{8,16}$)[A-Za-z_]\w{1,200}(?:\.\w{1,40}){0,4}")
_MODULE = re.compile(r" \[([\w-]{1,64})(?: [0-9a-f]{1,64})?\]")
#: What the compiler adds to a function's name: parts of it, and copies for special cases.
_SUFFIX = re.compile(r"\.(?:cold|isra|constprop|part|llvm|lto_priv|clone)\b.*|\.\d+$")
_PREFIXES = ("__cfi_", "__pfx_", "__kprobes_text_", ".")
#: Most frames, today and before 4.9; others are parsed piece by piece.
_USUAL = re.compile(
    r" {1,4}(?:\[<[0-9a-f]{8,16}>\] )?(\? )?([A-Za-z_]\w*)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[([a-z]\w*)\])?$"
)


class StackFrame(NamedTuple):
    """A function on a stack. ``sure`` is false if the kernel marks it with ?. ``file`` is rarely
    known. ``at`` says that it comes from registers, not from a trace."""

    name: str
    module: str = ""
    sure: bool = True
    file: str = ""
    at: bool = False

    def shown(self) -> str:
        """Return the frame as a record's trace shows it."""
        return f"{self.name} [{self.module}]" if self.module else self.name


def normal(symbol: str) -> str:
    """Return a function's own name."""
    if symbol.startswith(_PREFIXES):
        for prefix in _PREFIXES:
            if len(symbol) > len(prefix):
                symbol = symbol.removeprefix(prefix)
    if symbol.startswith("_R"):
        return demangled(symbol)
    return _SUFFIX.sub("", symbol) if "." in symbol else symbol


def symbol_in(text: str) -> str:
    """Return the first function with an offset in a piece of text, bare or in brackets."""
    place = text.find("+0x")
    while place > 0:
        start = place
        while start and (text[start - 1].isalnum() or text[start - 1] in "_.$"):
            start -= 1
        name = text[start:place]
        if name and not name[0].isdigit():
            return normal(name)
        place = text.find("+0x", place + 3)
    return ""


def named_in(text: str) -> str:
    """Return the function that a complaint names, with an offset or bare; "" if it names none."""
    return symbol_in(text) or (normal(text) if _BARE.fullmatch(text) else "")


def _module_after(rest: str) -> str:
    found = _MODULE.search(rest)
    return found[1] if found and found[1] not in ("inline", "inlined") else ""


def frame(line: str) -> StackFrame | None:
    """Return the frame in a line without its stamp; None for other lines."""
    if usual := _USUAL.match(line):
        return StackFrame(normal(usual[2]), usual[3] or "", not usual[1])
    if (
        "+0x" not in line
        and ".c:" not in line
        and ".h:" not in line
        and ".S:" not in line
        and " from " not in line
    ):
        return None
    if "<" in line:
        line = _STACKS.sub("", line)
        if "[ " in line or line.startswith("["):
            line = _INNER_STAMP.sub("", line, count=1)
    if " from " in line and (found := _ARM.match(line) or _FROM.match(line)):
        return StackFrame(normal(found[1]), found[2] or "")
    place = line.find("+0x")
    if place > 0:
        start = max(line.rfind(blank, 0, place) for blank in " \t(])") + 1
        name = line[start:place].lstrip(".")
        lead = _LEAD.match(line[: place - len(name)])
        first = _MODULE_FIRST.match(name)
        name = name[first.end() :] if first else name
        if not lead or not _NAME.fullmatch(name):
            return None
        rest = line[place:]
        sure = not lead[1] and "(unreliable)" not in rest
        return StackFrame(normal(name), first[1] if first else _module_after(rest), sure)
    if (":" in line and "." in line) and (found := _LOCATED.match(line)):
        sure = not found[1] and not line.rstrip().endswith("[inline]")
        return StackFrame(normal(found[2]), _module_after(line[found.end() :]), sure, found[3])
    return None


def caller(line: str) -> StackFrame | None:
    """Return the caller in a line of arm's traces, which names who was called and by whom; else
    None."""
    _, called, by = line.partition(" from ")
    name = symbol_in(by) if called else ""
    return StackFrame(name, _module_after(by)) if name else None


def place(line: str) -> StackFrame | None:
    """Return where the CPU was in the kernel, if this is the register line that says so."""
    text = line.lstrip()
    if not text.startswith(REGISTERS) or text.startswith(_USER):
        return None
    if name := symbol_in(text):
        first = _MODULE_FIRST.search(text)
        return StackFrame(name, first[1] if first else _module_after(text[text.find("+0x") :]), at=True)
    segment = _SEGMENT.match(text)
    found = _LOCATED.match(text, segment.end()) if segment else None
    return StackFrame(normal(found[2]), "", True, found[3], True) if found else None


def begins_trace(line: str) -> bool:
    """Tell whether frames follow."""
    return line.lstrip().startswith(TRACES)


def ends_trace(line: str) -> bool:
    """Tell whether no more of the trace's frames follow."""
    return line.startswith(ENDS)
