# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks elfutils for file and line of places in the kernel's code.

A function is found by its name and its length: a kernel that was built again has the same names and other
lines, and a wrong line is worse than none.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..meaning.code import AT, KERNEL
from . import limited

#: A kernel counts what is between two functions as the first one's: to align the next, and what is put before
#: it. A function's own length is less by at most so much.
_BETWEEN = 128
#: Places that are asked for at once, and functions that are shown where one contains the others.
_MOST_ASKED, _MOST_INLINED = 500, 16
_LONGEST = 400
_CODE = re.compile(
    rf"({AT})?(?:(0x[0-9a-f]{{1,16}})|([\w.$]{{1,201}})\+0x([0-9a-f]{{1,16}})/0x([0-9a-f]{{1,16}}))"
    r"(?: \[([\w-]{1,64})(?: ([0-9a-f]{8,64}))?\])?"
)
_ADDRESS = re.compile(r"0x[0-9a-f]{16}")
_PLACE = re.compile(r"(.{1,4096}?):(\d{1,9})(?::\d{1,9})?(?: \(.{1,99}\))?")
#: What stands before the kernel's own folders in a file's name.
_TREE = re.compile(
    r".*?/(?=(?:arch|block|certs|crypto|drivers|fs|include|init|io_uring|ipc|kernel|lib|mm|net|rust|samples|"
    r"scripts|security|sound|tools|usr|virt)/)"
)


class Code(NamedTuple):
    """A place as code.py of ``meaning`` writes it: in ``function`` (``length`` bytes long) at ``offset``;
    or at an address, which is the offset then, and ``function`` is empty. ``exact`` says that it comes
    from registers."""

    exact: bool
    function: str
    offset: int
    length: int
    module: str
    build_id: str


class Line(NamedTuple):
    """A function, and where it is in its source."""

    function: str
    file: str
    line: int


def parse(code: str) -> Code | None:
    """Return the parts of a place; None if it is none."""
    found = _CODE.fullmatch(code)
    if found is None:
        return None
    exact, address, function, offset, length, module, build_id = found.groups()
    return Code(
        bool(exact),
        function or "",
        int(offset or address, 16),
        int(length or "0", 16),
        module or KERNEL,
        build_id or "",
    )


def look_up(path: Path, codes: Sequence[Code]) -> list[list[Line]]:
    """Return for each place its lines, innermost first: more than one where functions are inlined, none
    where the file does not say. All places are of the file's own module. Raises ReceiverError."""
    size = path.stat().st_size
    starts = _starts(path, size, [code for code in codes if code.function])
    found: list[list[Line]] = [[] for _ in codes]
    wanted: dict[str, list[tuple[int, int]]] = {}
    for number, code in enumerate(codes):
        section, start = starts.get((code.function, code.length), ("", None)) if code.function else ("", 0)
        if start is not None:
            # A call returns behind itself: the line is that of the call.
            wanted.setdefault(section, []).append((number, start + code.offset - (not code.exact)))
    for section, asked in wanted.items():
        for begin in range(0, len(asked), _MOST_ASKED):
            some = asked[begin : begin + _MOST_ASKED]
            for (number, _), lines in zip(some, _addresses(path, size, section, [one for _, one in some])):
                found[number] = lines
    return found


def _starts(path: Path, size: int, codes: Sequence[Code]) -> dict[tuple[str, int], tuple[str, int]]:
    """Return where functions begin, by name and length: the section that addresses count from, empty for
    the kernel itself, and the address. Functions that could be several are left out."""
    names = {code.function for code in codes}
    if not names:
        return {}
    module = any(code.module != KERNEL for code in codes)
    table = limited.run(["eu-nm", "--format=sysv", str(path)], file_bytes=size)
    known = {name: set(_symbols(table, name, module)) for name in names}
    fitting = {}
    for code in codes:
        places = known[code.function]
        sized = {one[:2] for one in places if one[2] <= code.length < one[2] + _BETWEEN and one[2]}
        bare = {one[:2] for one in places if not one[2]}
        found = sized or bare
        if len(found) == 1:
            fitting[code.function, code.length] = found.pop()
    return fitting


def _symbols(table: bytes, name: str, module: bool) -> Iterator[tuple[str, int, int]]:
    """Yield section, address and length of each symbol with this name. A kernel has so many symbols that
    their lines are not split."""
    head = f"\n{name}".encode()
    at = -1
    while (at := table.find(head, at + 1)) >= 0:
        row = table[at + 1 : table.find(b"\n", at + 1)].decode("utf-8", "replace")
        cells = [cell.strip() for cell in row.split("|")]
        if len(cells) != 7 or cells[0] != name or cells[6] in ("", "UNDEF", "ABS"):
            continue
        with contextlib.suppress(ValueError):
            yield cells[6] if module else "", int(cells[1], 16), int(cells[4] or "0", 16)


def _addresses(path: Path, size: int, section: str, addresses: Sequence[int]) -> list[list[Line]]:
    by = ["-j", section] if section else []
    said = limited.run(
        ["eu-addr2line", "-a", "-f", "-i", "-e", str(path), *by, *(f"{max(0, one):#x}" for one in addresses)],
        file_bytes=size,
    ).decode("utf-8", "backslashreplace")
    found: list[list[Line]] = []
    function = ""
    for row in said.splitlines():
        if _ADDRESS.fullmatch(row):
            found.append([])
            function = ""
        elif found and not function:
            function = row.partition(" inlined at ")[0]
        elif found:
            if (place := _PLACE.fullmatch(row)) and int(place[2]) and len(found[-1]) < _MOST_INLINED:
                file = _TREE.sub("", place[1], count=1)[-_LONGEST:]
                found[-1].append(Line(function[:_LONGEST], file, int(place[2])))
            function = ""
    return found + [[] for _ in range(len(addresses) - len(found))]
