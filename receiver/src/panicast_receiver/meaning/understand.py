# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the meaning of a record's text. Pure: the same text always has the same meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from .code import places_in_code
from .families import digest, names
from .format import CONSEQUENCES, NOISE, PANIC, Format
from .formats import ANY_EXCEPTION, ANY_OTHER, EXCEPTION_NUMBER, FORMATS, LEAD_INS, SEVERITY_OF, better
from .frames import begins_trace, frame, named_in, place
from .innocent import ANCHOR, LAST_RESORT
from .lines import Line, read, without
from .model import NOT_UNDERSTOOD, VERSION, Meaning
from .naming import function_name, guilty, title
from .report import machine, take_apart, trace_of

#: Two complaints further apart than this, in seconds, or in lines if these have no times, are of
#: two faults.
_NEAR_SECONDS, _NEAR_LINES = 60.0, 2000
#: Lines so close to each other may be out of order.
_NEIGHBOURS = 3
#: Characters of a line by which its rows are looked up; more of them for a panic.
_HEAD, _PANIC_HEAD = 12, len(PANIC) + 6
#: Lines that begin like complaints are examined up to this number plus an eighth of all lines, and
#: the last panic; of doubtful ones up to the second number.
_MOST_COMPLAINTS, _MOST_DOUBTFUL = 500, 100
#: Registers and trace may be so many lines before a panic that names nothing.
_BEFORE = 400
#: Frames that a record keeps.
_MOST_FRAMES = 64


_T = TypeVar("_T")


def _index(all_of: Iterable[_T], start: Callable[[_T], str]) -> dict[str, list[_T]]:
    found: dict[str, list[_T]] = {}
    for one in all_of:
        found.setdefault(start(one), []).append(one)
    return found


_ROWS = _index(FORMATS, lambda row: row.begins[:3])
_LEADS = _index(LEAD_INS, lambda lead: lead[:2])
#: How a line with a complaint begins.
_STARTS = frozenset(_ROWS) | frozenset(
    (begin + lead)[:3] for lead in (*LEAD_INS, "BUG: ", "INFO: ", "WARNING: ") for begin in ("", " ", "[ ")
)
_NOTHING = frozenset(PANIC + words for words in CONSEQUENCES)


class Complaint(NamedTuple):
    """A line with which a report begins. ``rest`` is what follows the format's first characters."""

    number: int
    form: Format
    rest: str
    detail: re.Match[str] | None

    def values(self) -> dict[str, str]:
        """Return the parts of the line by name: the rest, and the groups of the format's detail."""
        return {"rest": self.rest, **(self.detail.groupdict("") if self.detail else {})}


def complaint(text: str, number: int = 0) -> Complaint | None:
    """Return the complaint that a line without its stamp begins; None if it begins none."""
    if text[:1] == " ":
        text = text[1:]
    for lead in _LEADS.get(text[:2], ()):
        if text.startswith(lead):
            rest = text[len(lead) :]
            if rest[:3] in _ROWS and (found := _row(rest, number)):
                return found
    return _row(text, number) if text[:3] in _ROWS else None


@lru_cache(maxsize=512)
def _candidates(head: str) -> tuple[Format, ...]:
    """Return the rows that may match a line that begins so."""
    length = _PANIC_HEAD if head.startswith(PANIC) else _HEAD
    return tuple(row for row in _ROWS.get(head[:3], ()) if head.startswith(row.begins[:length]))


def _row(text: str, number: int) -> Complaint | None:
    for row in _candidates(text[: _PANIC_HEAD if text.startswith(PANIC) else _HEAD]):
        if not text.startswith(row.begins):
            continue
        rest = text[len(row.begins) :]
        if row.detail is None:
            return Complaint(number, row, rest, None)
        if detail := row.detail.match(rest):
            return Complaint(number, row, rest, detail)
    return None


#: If one CPU's line runs into another's, these complaints may begin in the middle of a line.
_MIDDLE = (
    *("BUG: ", "WARNING: ", PANIC, "kernel BUG at ", "general protection fault", "INFO: rcu_", "INFO: task "),
    *("Unable to handle kernel ", "Internal error: ", "SYZFATAL: ", "SYZFAIL: "),
    *("unregister_netdevice: waiting for ", "VFS: Busy inodes after unmount"),
)

#: If these are in the middle of lines, a carrier put a prefix before all lines.
_KERNELS_OWN = (
    *("------------[ cut here ]", "Call Trace:", "Modules linked in: ", "Hardware name: ", "RIP: 0010:"),
    *("PC is at ", "CPU: ", "unreferenced object 0x", "divide error: ", "Watchdog detected ", "[ INFO: "),
)


def heard(text: str) -> tuple[Sequence[Line], list[Complaint]]:
    """Return a text's lines, and all complaints in them, in order."""
    lines: Sequence[Line] = read(text)
    found, doubtful = _complaints(lines)
    if _weak(found) and (before := _put_before(lines)) and (bare := without(lines, before)):
        sure, _ = _complaints(bare)
        lines, found = (bare, sure) if sure else (lines, found)
    if not _weak(found):
        return lines, found
    found = sorted([*_in_the_middle(lines), *found], key=lambda one: one.number)
    return lines, found or doubtful[:1] or _unknown(lines)


def _unknown(lines: Sequence[Line]) -> list[Complaint]:
    """Return the first report of a kind that no format describes, as a list of at most one.

    It is an exception with its number, or the line below "cut here".
    """
    below = False
    for number, line in enumerate(lines):
        text = line[0]
        if "[#" in text and (exception := EXCEPTION_NUMBER.match(text)) and _confirmed(lines, number):
            return [Complaint(number, ANY_EXCEPTION, text, exception)]
        if below and _confirmed(lines, number):
            return [Complaint(number, ANY_OTHER, text, None)]
        below = text.startswith("------------[ cut here ]")
    return []


def _weak(found: Sequence[Complaint]) -> bool:
    """Tell whether other lines may name the crash better than these complaints."""
    return all(_names_nothing(one) or one.form.begins == "Oops" for one in found)


def _put_before(lines: Sequence[Line]) -> str:
    """Return what stands before words that only the kernel says; "" if nothing does."""
    for words in _within(lines, (*_KERNELS_OWN, *_MIDDLE)):
        for line in lines:
            at = line[0].find(words, 1)
            if at > 0 and line[0][:3] not in _STARTS and not (_inside_word(line[0], at) or _noise(line[0])):
                return line[0][:at]
    return ""


def _noise(text: str) -> bool:
    """Tell whether this only sounds like a complaint."""
    return any(words in text.lower() for words in NOISE)


def _complaints(lines: Sequence[Line]) -> tuple[list[Complaint], list[Complaint]]:
    """Return the complaints that begin lines: the sure ones, and the doubtful ones."""
    found: list[Complaint] = []
    doubtful: list[Complaint] = []
    left = _MOST_COMPLAINTS + len(lines) // 8
    last = -1
    for number, line in enumerate(lines):
        text = line[0]
        if text[:3] not in _STARTS:
            continue
        if not left:
            last = number if text.startswith(PANIC) else last
            continue
        left -= 1
        if one := complaint(text, number):
            if not (one.form.confirm or one.form.last):
                found.append(one)
            elif len(doubtful) < _MOST_DOUBTFUL and not _noise(text):
                sure = one.form.confirm and _confirmed(lines, number)
                (found if sure else doubtful).append(one)
    if last >= 0 and (one := complaint(lines[last].text, last)):
        found.append(one)
    return found, doubtful


def _confirmed(lines: Sequence[Line], number: int) -> bool:
    before = lines[max(0, number - 3) : number]
    after = lines[number + 1 : number + 12]
    return any("[ cut here ]" in line.text for line in before) or any(
        line.text.startswith(("CPU: ", "Modules linked in:")) or begins_trace(line.text) for line in after
    )


def _within(lines: Sequence[Line], of: Sequence[str]) -> list[str]:
    """Return those of the words that occur elsewhere than at a line's start."""
    whole = "\n".join(["", *(line[0] for line in lines)])
    return [words for words in of if words in whole and whole.count(words) > whole.count(f"\n{words}")]


def _in_the_middle(lines: Sequence[Line]) -> Iterator[Complaint]:
    said = _within(lines, _MIDDLE)
    for number, line in enumerate(lines):
        text = line[0]
        for start in sorted(at for words in said if (at := text.find(words, 1)) > 0):
            if (
                not _inside_word(text, start)
                and (one := complaint(text[start:], number))
                and not one.form.confirm
                and not one.form.last
                and not _noise(text)
            ):
                yield one
                break


def _inside_word(text: str, place: int) -> bool:
    return text[place].isupper() and (text[place - 1].isupper() or text[place - 1] in "0123456789_.")


def _is_panic(one: Complaint) -> bool:
    return one.form.begins.startswith("Kernel panic")


def _names_nothing(one: Complaint) -> bool:
    return one.form.begins in _NOTHING


def first(found: Sequence[Complaint], lines: Sequence[Line]) -> Complaint | None:
    """Return the complaint that names the crash: the first of those that lead to its end without a
    long pause."""
    if not found:
        return None
    found = _as_written(found, lines)
    fatal = next((n for n in range(len(found) - 1, -1, -1) if _is_panic(found[n])), None)
    if fatal is None:
        return found[0]
    end = lines[found[fatal].number].stamp
    found = [one for one in found[: fatal + 1] if not _later(lines[one.number].stamp, end)]
    chosen = fatal = len(found) - 1
    while chosen and _near(found[chosen - 1], found[chosen], lines):
        chosen -= 1
    if _names_nothing(found[chosen]) and chosen:
        chosen -= 1
    return found[chosen]


def _as_written(found: Sequence[Complaint], lines: Sequence[Line]) -> list[Complaint]:
    """Return the complaints in the order of their stamps: CPUs may print neighbouring lines out of
    order."""
    found = list(found)
    for n in range(1, len(found)):
        one, other = found[n - 1], found[n]
        if other.number - one.number <= _NEIGHBOURS and _later(
            lines[one.number].stamp, lines[other.number].stamp
        ):
            found[n - 1], found[n] = other, one
    return found


def _later(stamp: str, end: str) -> bool:
    return bool(stamp and end) and float(stamp) > float(end)


def _near(one: Complaint, other: Complaint, lines: Sequence[Line]) -> bool:
    stamps = lines[one.number].stamp, lines[other.number].stamp
    if all(stamps):
        return abs(float(stamps[1]) - float(stamps[0])) <= _NEAR_SECONDS
    return other.number - one.number <= _NEAR_LINES


def understand(text: str, stated_reason: str = "") -> Meaning:
    """Return the meaning of a record's text; ``stated_reason`` is the reason in its metadata.

    The same arguments always give the same meaning: nothing else is looked at. A text without a
    crash has no title.
    """
    lines, found = heard(text)
    named = first(found, lines)
    if stated_reason and (named is None or _names_nothing(named)):
        stated = complaint(PANIC + stated_reason, named.number if named else 0)
        if stated and not (named and _names_nothing(stated)):
            named = stated
    if named is None:
        return Meaning()
    panic = next((one for one in found if _is_panic(one)), None)
    reason = stated_reason or (_reason(lines[panic.number].text) if panic else "")
    return _meaning(lines, named, reason)


def _reason(line: str) -> str:
    return line.partition(PANIC)[2].strip()


def _meaning(lines: Sequence[Line], named: Complaint, reason: str) -> Meaning:
    form, values = named.form, named.values()
    where = named_in(values.get("where") or "")
    form = better(form, values.get("file") or values["rest"].partition(":")[0], where)
    begin = max(0, named.number - _BEFORE) if _names_nothing(named) else named.number
    # A reason that came without a text is on no line.
    caller = lines[named.number].caller if lines else ""
    report = take_apart(_of_one(lines, begin, caller))
    culprit = guilty(form, where, report)
    if culprit is None and caller:
        report = take_apart(lines[begin:])
        culprit = guilty(form, where, report)
    if culprit and _names_nothing(named) and (culprit.name in LAST_RESORT or culprit.name in ANCHOR):
        culprit = None
    called = title(form, values, report, culprit)
    unknown = culprit is None and "{in}" in form.title
    alike = (called,) if unknown or not called else names(called)
    signature = NOT_UNDERSTOOD if unknown or not called else digest(alike[-1])
    about = machine(lines, named.number)
    shown = trace_of(report)
    trace = [one.shown() for one in shown.frames if one.sure]
    # A complaint names a function without its module.
    frames = (*([culprit] if culprit else []), *report.ats, *shown.frames)
    modules = (one.module for one in frames if culprit and one.name == culprit.name)
    return Meaning(
        title=called,
        signature=signature,
        reason=reason,
        at=function_name(culprit.name) if culprit else "",
        trace=tuple(trace[:_MOST_FRAMES]),
        modules=about.modules,
        hardware=about.hardware,
        kernel=about.kernel,
        comm=about.comm,
        kind=form.kind,
        severity=SEVERITY_OF[form.kind],
        module=next(filter(None, modules), ""),
        file=values.get("file") or (culprit.file if culprit else ""),
        taint=about.taint,
        names=alike,
        code=places_in_code(report, shown, lines, begin),
        version=VERSION,
    )


def _of_one(lines: Sequence[Line], begin: int, caller: str) -> list[Line]:
    """Return the report's lines from ``begin`` on: only those of ``caller``, if lines name their
    caller."""
    rest = lines[begin:]
    if not caller:
        return list(rest)
    of = {caller}
    told = []
    for line in rest:
        if line.caller in of or ("C" in of and line.caller[:1] == "C"):
            told.append(line)
            if "Sending NMI from CPU" in line.text:
                # What the others are at is told by themselves.
                of.add("C")
    return told


def beginning(text: str) -> int | None:
    """Return the number of the line with which the crash begins; None if there is none."""
    lines, found = heard(text)
    named = first(found, lines)
    return lines[named.number].number if named else None


def kind_of(line: str) -> str:
    """Return what a line without its stamp is, for display: ``panic``, ``complaint``, ``at``,
    ``trace``, ``frame``, ``doubtful`` (a frame that the kernel marks with ?) or empty."""
    if PANIC in line:
        return "panic"
    if found := frame(line):
        return "frame" if found.sure else "doubtful"
    if place(line):
        return "at"
    if begins_trace(line):
        return "trace"
    one = complaint(line)
    return "complaint" if one and not one.form.confirm and not one.form.last else ""
