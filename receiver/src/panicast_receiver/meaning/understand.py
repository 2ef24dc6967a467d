# SPDX-License-Identifier: GPL-2.0-or-later
"""From a record's text to what it means. Pure: the same text always means the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from .families import digest, names
from .format import CONSEQUENCES, NOISE, PANIC, Format
from .formats import FORMATS, LEAD_INS, SEVERITIES, better
from .frames import begins_trace, frame, named_in, place
from .innocent import ANCHOR, LAST_RESORT
from .lines import Line, read
from .model import NOT_UNDERSTOOD, VERSION, Meaning
from .naming import function_name, guilty, title
from .report import machine, take_apart, trace_of

#: Two complaints further apart than this, in seconds or where no times are told in lines, are of two faults.
_NEAR_SECONDS, _NEAR_LINES = 60.0, 2000
#: Characters of a line by which it is first sorted.
_HEAD = 12
#: So many lines that may be complaints are looked at closely.
_MOST_DOUBTFUL = 100
#: How far before a panic that names nothing the registers and the trace may stand.
_BEFORE = 400
#: Frames that a record keeps.
_MOST_FRAMES = 64


def _index() -> dict[str, list[Format]]:
    rows: dict[str, list[Format]] = {}
    for row in FORMATS:
        rows.setdefault(row.begins[:3], []).append(row)
    return rows


_ROWS = _index()
_LEADS = frozenset(
    (begin + lead)[:3] for lead in (*LEAD_INS, "BUG: ", "INFO: ", "WARNING: ") for begin in ("", " ", "[ ")
)


class Complaint(NamedTuple):
    """A line with which a report begins; ``values`` are what the line says."""

    number: int
    form: Format
    values: dict[str, str]


def complaint(text: str, number: int = 0) -> Complaint | None:
    """What a line without its stamp begins, if anything."""
    if text[:1] == " ":
        text = text[1:]
    if text.startswith(LEAD_INS):
        for lead in LEAD_INS:
            if text.startswith(lead) and (found := _row(text[len(lead) :], number)):
                return found
    return _row(text, number)


@lru_cache(maxsize=512)
def _candidates(head: str) -> tuple[Format, ...]:
    """Rows that may fit a line that begins so."""
    return tuple(row for row in _ROWS.get(head[:3], ()) if head.startswith(row.begins[:_HEAD]))


def _row(text: str, number: int) -> Complaint | None:
    for row in _candidates(text[:_HEAD]):
        if not text.startswith(row.begins):
            continue
        rest = text[len(row.begins) :]
        if row.detail is None:
            return Complaint(number, row, {"rest": rest})
        if detail := row.detail.match(rest):
            return Complaint(number, row, {"rest": rest, **detail.groupdict("")})
    return None


#: Where one CPU's line runs into another's, a complaint begins in the middle of one.
_MIDDLE = re.compile(
    "|".join(
        re.escape(words)
        for words in (
            *(
                "BUG: ",
                "WARNING: ",
                "Kernel panic - not syncing: ",
                "kernel BUG at ",
                "general protection fault",
            ),
            *(
                "INFO: rcu_",
                "INFO: task ",
                "Unable to handle kernel ",
                "Internal error: ",
                "SYZFATAL: ",
                "SYZFAIL: ",
            ),
        )
    )
)


def complaints(lines: Sequence[Line]) -> list[Complaint]:
    """All of a text, in order."""
    found: list[Complaint] = []
    doubtful: list[Complaint] = []
    for number, line in enumerate(lines):
        text = line.text
        if not text:
            continue
        if (text[:3] in _ROWS or text[:3] in _LEADS) and (one := complaint(text, number)):
            if not (one.form.confirm or one.form.last):
                found.append(one)
            elif len(doubtful) < _MOST_DOUBTFUL and not any(words in text.lower() for words in NOISE):
                sure = one.form.confirm and _confirmed(lines, number)
                (found if sure else doubtful).append(one)
    if found and not all(_names_nothing(one) or one.form.begins == "Oops" for one in found):
        return found
    return sorted([*_in_the_middle(lines), *found], key=lambda one: one.number) or doubtful[:1]


def _confirmed(lines: Sequence[Line], number: int) -> bool:
    before = lines[max(0, number - 3) : number]
    after = lines[number + 1 : number + 12]
    return any("[ cut here ]" in line.text for line in before) or any(
        line.text.startswith(("CPU: ", "Modules linked in:")) or begins_trace(line.text) for line in after
    )


def _in_the_middle(lines: Sequence[Line]) -> Iterator[Complaint]:
    for number, line in enumerate(lines):
        for begin in _MIDDLE.finditer(line.text, 1) if len(line.text) > 8 else ():
            place = begin.start()
            if (
                not _inside_word(line.text, place)
                and (one := complaint(line.text[place:], number))
                and not one.form.confirm
                and not one.form.last
                and not any(words in line.text.lower() for words in NOISE)
            ):
                yield one
                break


def _inside_word(text: str, place: int) -> bool:
    return text[place].isupper() and (text[place - 1].isupper() or text[place - 1] in "0123456789_.")


def _is_panic(one: Complaint) -> bool:
    return one.form.begins.startswith("Kernel panic")


def _names_nothing(one: Complaint) -> bool:
    return one.form.begins[len(PANIC) :] in CONSEQUENCES and _is_panic(one)


def first(found: Sequence[Complaint], lines: Sequence[Line]) -> Complaint | None:
    """The complaint that names the crash: the first of those that lead to its end without a long rest."""
    if not found:
        return None
    fatal = next((n for n in range(len(found) - 1, -1, -1) if _is_panic(found[n])), None)
    if fatal is None:
        return found[0]
    # CPUs may get their lines out in another order than they wrote them.
    end = lines[found[fatal].number].stamp
    found = [one for one in found[: fatal + 1] if not _later(lines[one.number].stamp, end)]
    chosen = fatal = len(found) - 1
    while chosen and _near(found[chosen - 1], found[chosen], lines):
        chosen -= 1
    if _names_nothing(found[chosen]) and chosen:
        chosen -= 1
    return found[chosen]


def _later(stamp: str, end: str) -> bool:
    return bool(stamp and end) and float(stamp) > float(end)


def _near(one: Complaint, other: Complaint, lines: Sequence[Line]) -> bool:
    stamps = lines[one.number].stamp, lines[other.number].stamp
    if all(stamps):
        return abs(float(stamps[1]) - float(stamps[0])) <= _NEAR_SECONDS
    return other.number - one.number <= _NEAR_LINES


def understand(text: str, stated_reason: str = "") -> Meaning:
    """Find out what a record's text tells; ``stated_reason`` is the metadata's. The same text always means
    the same: nothing else is looked at. A text without a crash has no title."""
    lines = read(text)
    found = complaints(lines)
    named = first(found, lines)
    if named is None or (stated_reason and _names_nothing(named)):
        stated = complaint(PANIC + stated_reason, named.number if named else 0) if stated_reason else None
        named = named if stated is None or (named and _names_nothing(stated)) else stated
    if named is None:
        return Meaning()
    panic = next((one for one in found if _is_panic(one)), None)
    reason = stated_reason or (_reason(lines[panic.number].text) if panic else "")
    return _meaning(lines, named, reason)


def _reason(line: str) -> str:
    return line.partition(PANIC)[2].strip()


def _meaning(lines: Sequence[Line], named: Complaint, reason: str) -> Meaning:
    form, values = named.form, named.values
    where = named_in(values.get("where") or "")
    form = better(form, values.get("file") or values["rest"].partition(":")[0], where)
    begin = max(0, named.number - _BEFORE) if _names_nothing(named) else named.number
    report = take_apart(_of_one(lines, begin, lines[named.number].caller))
    culprit = guilty(form, where, report)
    if culprit is None and lines[named.number].caller:
        report = take_apart(lines[begin:])
        culprit = guilty(form, where, report)
    if culprit and _names_nothing(named) and (culprit.name in LAST_RESORT or culprit.name in ANCHOR):
        culprit = None
    called = title(form, values, report, culprit)
    unknown = culprit is None and "{in}" in form.title
    alike = (called,) if unknown or not called else names(called)
    signature = NOT_UNDERSTOOD if unknown or not called else digest(alike[-1])
    about = machine(lines, named.number)
    trace = [one.shown() for one in trace_of(report) if one.sure]
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
        severity=SEVERITIES[form.kind],
        module=culprit.module if culprit else "",
        file=values.get("file") or (culprit.file if culprit else ""),
        taint=about.taint,
        names=alike,
        version=VERSION,
    )


def _of_one(lines: Sequence[Line], begin: int, caller: str) -> list[Line]:
    """The report's lines: of the caller who began it, where lines say whose they are."""
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
    """The number of the line with which the crash begins; None where there is none."""
    lines = read(text)
    found = first(complaints(lines), lines)
    return found.number if found else None


def kind_of(line: str) -> str:
    """What a line without its stamp is, for whoever shows it: ``panic``, ``complaint``, ``at``, ``trace``,
    ``frame``, ``doubtful`` (a frame that the kernel marks with ?) or empty."""
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
