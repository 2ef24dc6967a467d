# SPDX-License-Identifier: GPL-2.0-or-later
"""What a crash's text means: what happened, where, in which code; and which crashes are the same. Pure.

The text is what a dying machine got out: lines of several CPUs may be mixed, cut or missing. So nothing here
expects a line to follow another; every line is asked what it is, and what no line says stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

#: Level prefix, time stamp, and with CONFIG_PRINTK_CALLER who logged the line.
_STAMP = re.compile(r"^(?:<\d{1,4}>)?(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?")
_AFTER_GAP = re.compile(r"(?<=bytes missing\]\n)[^\n]*")
PANIC = "Kernel panic - not syncing: "
_PANIC = re.compile(re.escape(PANIC) + r"(.*)")
#: Lines with which a complaint begins that ends in a panic.
_BEGINS = re.compile(
    r"^(?:(?:watchdog: |NMI watchdog: )?BUG: .*|Oops: .*|Oops - .*|Internal error: .*|kernel BUG at .*"
    r"|Unable to handle kernel .*|general protection fault.*|double fault.*|stack segment: .*"
    r"|divide error: .*|invalid opcode: .*|INFO: task .* blocked for more than .*|rcu: INFO: .*stall.*"
    r"|NMI: IOCK error.*|mce: \[Hardware Error\].*|Watchdog detected hard LOCKUP.*|.*hard LOCKUP on cpu.*)"
)
_SYMBOL = r"([A-Za-z_$][\w.$]*)\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?"
_AT = re.compile(rf"^(?:RIP: [0-9a-f]{{4}}:|EIP: |pc : |PC is at |epc : |NIP \[[0-9a-f]+\] ){_SYMBOL}")
_FRAME = re.compile(
    rf"^ *(?:\[<[0-9a-f]+>\] )?(\? )?\(?{_SYMBOL}\)?(?: \[([\w-]+)(?: [0-9a-f]+)?\])?(?: \([A-Z]+\))?$"
)
_TRACE = re.compile(r"^(?:Call [Tt]race:?|Backtrace:)")
_ENDS = re.compile(r"^(?:---\[ end |Modules linked in:|Kernel Offset:|Code: |Rebooting in |SMP: stopping )")
_HARDWARE = re.compile(r"^Hardware name: (.+)")
_CPU = re.compile(
    r"^CPU: (\d+) (?:UID: \d+ )?PID: (\d+) Comm: (.+?) (?:Not tainted|Tainted: .*?) +(\d+\.\d+\S*)"
)
_MODULES = re.compile(r"^Modules linked in: *(.*)")
_TAINTED_MODULE = re.compile(r"([\w-]+)\(([A-Z+-]+)\)")
#: What the compiler adds to a function's name: parts of it, and copies for special cases.
_SUFFIX = re.compile(r"\.(?:cold|isra|constprop|part|llvm|lto_priv)(?:\.\d+)*")
#: Frames of the reporting itself, of the way into the kernel and out of it: the same in every crash.
_NOISE = re.compile(
    r"^(?:_*dump_stack(?:_lvl)?|dump_backtrace|show_stack|v?panic|_*die(?:_body|_addr)?|oops_(?:end|exit|enter)|crash_kexec"
    r"|make_task_dead|do_exit|page_fault_oops|bad_area\w*|_*bad_area_nosemaphore|kernelmode_fixup_or_oops|no_context"
    r"|exc_\w+|asm_\w+|do_(?:user_addr_fault|kern_addr_fault|error_trap|trap|page_fault|mem_abort|translation_fault"
    r"|general_protection|invalid_op|syscall_64|el0_svc|int80_syscall_32)|error_entry|x64_sys_call|_*warn(?:_\w+)?"
    r"|report_bug|handle_bug|fixup_bug|entry_\w+|ret_from_fork(?:_asm)?|kthread|el[01]\w*|invoke_syscall"
    r"|die_kernel_fault|_*do_kernel_fault|nmi_panic|watchdog_\w+|_*hrtimer_\w+|_*sysvec_\w+|nmi_handle|default_do_nmi|end_repeat_nmi)$"
)
_NUMBER = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")
#: A complaint this many lines, or characters, before the panic line is not its cause.
_NEAR, _WINDOW = 400, 24 << 10
#: How many symbols tell one crash from another: what lies deeper varies with how one got there.
_DEPTH = 6
_MOST_FRAMES = 64


@dataclass(frozen=True)
class Crash:
    """``at``: the symbol in which it happened; ``trace``: reliable frames, innermost first. "" or () where
    the text does not say. ``title`` is what it was in a line; ``signature`` is the same for the same crash.
    """

    title: str = ""
    signature: str = ""
    reason: str = ""
    at: str = ""
    trace: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    hardware: str = ""
    kernel: str = ""
    comm: str = ""

    def as_json(self) -> dict[str, Any]:
        """For printing and for the database."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }


def parse(text: str, stated_reason: str = "") -> Crash:
    """Find out what a record's text tells; ``stated_reason`` is the metadata's."""
    # What follows a gap up to the end of its line is the rest of a line: half a symbol is none.
    start = text.rfind("\n", 0, max(0, text.rfind(PANIC) - _WINDOW)) if PANIC in text else -1
    lines = [_STAMP.sub("", line, count=1) for line in _AFTER_GAP.sub("", text[start + 1 :]).split("\n")]
    panic, begin = _landmarks(lines)
    if panic is None and begin is None and not stated_reason:
        return Crash()
    section = lines[begin if begin is not None else panic or 0 :]
    found = _PANIC.search(lines[panic]) if panic is not None else None
    reason = stated_reason or (found.group(1).strip() if found else "")
    at = next((_normal(match.group(1)) for line in section if (match := _AT.match(line))), "")
    trace = tuple(_frames(section))
    headline = section[0].strip() if begin is not None else ""
    cpu = next((match for line in section if (match := _CPU.match(line))), None)
    hardware = next((match.group(1).strip() for line in lines if (match := _HARDWARE.match(line))), "")
    return Crash(
        title=_title(headline or reason, at),
        signature=_signature(at, trace, headline or reason),
        reason=reason,
        at=at,
        trace=trace,
        modules=_modules(lines),
        hardware=hardware,
        kernel=cpu.group(4) if cpu else "",
        comm=cpu.group(3) if cpu else "",
    )


def _landmarks(lines: Sequence[str]) -> tuple[int | None, int | None]:
    """Where the panic line is, and where the complaint begins that led to it."""
    panic = _last(lines, _PANIC)
    return panic, _complaint(lines, panic)


def beginning(lines: Sequence[str]) -> int | None:
    """Where, of lines without their stamps, the crash begins; None where there is none."""
    panic, begin = _landmarks(lines)
    return panic if begin is None else begin


def split_stamp(line: str) -> tuple[str, str]:
    """A line's level prefix and time stamp, and the rest of it."""
    stamp = _STAMP.match(line)
    end = stamp.end() if stamp else 0
    return line[:end], line[end:]


def kind_of(line: str) -> str:
    """What a line without its stamp is, for whoever shows it: ``panic``, ``complaint``, ``at``, ``trace``,
    ``frame``, ``doubtful`` (a frame that the kernel marks with ?) or empty."""
    if _PANIC.search(line):
        return "panic"
    if frame := _FRAME.match(line):
        return "doubtful" if frame.group(1) else "frame"
    kinds = {"at": _AT, "trace": _TRACE, "complaint": _BEGINS}
    return next((kind for kind, pattern in kinds.items() if pattern.match(line)), "")


def _last(lines: Sequence[str], pattern: re.Pattern[str]) -> int | None:
    return next((number for number in range(len(lines) - 1, -1, -1) if pattern.search(lines[number])), None)


def _complaint(lines: Sequence[str], panic: int | None) -> int | None:
    """Where the complaint begins that led to the panic: of several lines of one, the first."""
    end = len(lines) if panic is None else panic
    begin = None
    for number in range(end - 1, max(-1, end - _NEAR), -1):
        if lines[number].startswith("---[ end trace") and begin is not None:
            break
        if _BEGINS.match(lines[number]):
            begin = number
    return begin


def _frames(section: Sequence[str]) -> Iterator[str]:
    """The reliable frames of the first trace; lines between them that are none are passed over."""
    inside, count = False, 0
    for line in section:
        if _TRACE.match(line):
            if count:
                return
            inside = True
        elif inside and count and (_ENDS.match(line) or _PANIC.search(line)):
            return
        elif inside and (match := _FRAME.match(line)) and not match.group(1):
            count += 1
            yield _normal(match.group(2)) + (f" [{match.group(3)}]" if match.group(3) else "")
            if count == _MOST_FRAMES:
                return


def _normal(symbol: str) -> str:
    return _SUFFIX.sub("", symbol)


def _modules(lines: Sequence[str]) -> tuple[str, ...]:
    """Those that taint: out of the tree, unsigned, proprietary …"""
    listed = next((match.group(1) for line in lines if (match := _MODULES.match(line))), "")
    return tuple(f"{name}({flags})" for name, flags in _TAINTED_MODULE.findall(listed))


def _title(what: str, at: str) -> str:
    return f"{what} in {at}" if at and at not in what else what


def _signature(at: str, trace: Sequence[str], what: str) -> str:
    """A digest of the symbols that matter; of the words with the numbers taken out where there are none."""
    symbols = [symbol for symbol in trace if not _NOISE.match(symbol.partition(" ")[0])]
    if at and not _NOISE.match(at) and (not symbols or symbols[0].partition(" ")[0] != at):
        symbols.insert(0, at)
    # The module is not part of it: the same code may be built in on another machine.
    telling = [symbol.partition(" ")[0] for symbol in symbols[:_DEPTH]]
    if not telling and not what:
        return ""
    text = "\n".join(telling) if telling else _NUMBER.sub("#", what)
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
