# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench names: counts how often a crash gets its right name, in logs that the user supplies
with answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from panicast_build.core.errors import UserError
from panicast_receiver.meaning import understand

#: Formats of answers: syzkaller's lines above each log; satyr's table beside the folder of logs.
ANSWERS = ("syzkaller", "satyr")
#: Characters of a long record.
_RECORD = 64 << 10
_FUNCTION = re.compile(r" in (\S+)(?: / \S+)?$")
_ROW = re.compile(r'\{"kerneloopses/([\w.-]+)", "([^"]+)",')
_SUFFIX = re.compile(r"\.(?:cold|isra|constprop|part)\b.*")


class Log(NamedTuple):
    """One log: title is the right answer, empty for a log without a crash; others are alternative
    names; first is satyr's first function."""

    text: str
    title: str
    first: str = ""
    others: frozenset[str] = frozenset()


class Named(NamedTuple):
    """A log and the receiver's name for its crash."""

    log: Log
    title: str
    signature: str
    frames: Sequence[str]
    seconds: float


def syzkaller(corpus: Path) -> Iterator[Log]:
    """Returns the logs that begin with lines such as ``TITLE: …``, except those marked corrupted."""
    for path in sorted(corpus.iterdir()):
        head, _, body = path.read_text("utf-8", "backslashreplace").partition("\n\n")
        if not head.startswith(("TITLE:", "#", "ALT:", "TYPE:")) and "TITLE:" not in head:
            head, body = "", f"{head}\n\n{body}"
        if "CORRUPTED: Y" not in head:
            found = re.search(r"^TITLE: *(.*)$", head, re.MULTILINE)
            others = frozenset(re.findall(r"^ALT: *(.*\S)", head, re.MULTILINE))
            yield Log(
                body.partition("\n\nREPORT:\n")[0] + "\n", found[1].strip() if found else "", others=others
            )


def satyr(corpus: Path) -> Iterator[Log]:
    """Returns the logs whose first function is in the table of koops_stacktrace.c, in the parent
    folder."""
    table = (corpus.parent / "koops_stacktrace.c").read_text("utf-8")
    for name, first in _ROW.findall(table):
        yield Log((corpus / name).read_text("utf-8", "backslashreplace"), "", _SUFFIX.sub("", first))


def name(logs: Iterator[Log]) -> list[Named]:
    """Returns each log with the name that this tree's receiver gives its crash."""
    named = []
    for log in logs:
        begin = time.process_time()
        found = understand(log.text)
        seconds = time.process_time() - begin
        frames = [found.at, *(frame.partition(" ")[0] for frame in found.trace[:3])]
        named.append(Named(log, found.title, found.signature, frames, seconds))
    return named


def table(named: Sequence[Named]) -> list[tuple[str, int, int]]:
    """Returns the rows (question, how often the answer is yes, number of logs)."""
    if any(one.log.first for one in named):
        hits = sum(one.log.first in one.frames for one in named)
        return [("its first function among our first frames", hits, len(named))]
    crashes = [one for one in named if one.log.title]
    asked = [(one, found[1]) for one in crashes if (found := _FUNCTION.search(one.log.title))]
    pairs = list(combinations(crashes, 2))
    same = [(one, two) for one, two in pairs if one.log.title == two.log.title]
    ours = [(one, two) for one, two in pairs if one.signature == two.signature]
    alike = [(one, two) for one, two in pairs if one.log.title != two.log.title and _share(one, two)]
    quiet = [one for one in named if not one.log.title]
    return [
        ("the function of the title in ours", sum(name in one.title for one, name in asked), len(asked)),
        ("any title at all", sum(bool(one.title) for one in crashes), len(crashes)),
        (
            "pairs of logs with one title in one group",
            sum(a.signature == b.signature for a, b in same),
            len(same),
        ),
        (
            "pairs in one of our groups that have two titles",
            sum(a.log.title != b.log.title for a, b in ours),
            len(ours),
        ),
        (
            "those of them that share no other name either",
            sum(a.log.title != b.log.title and not _share(a, b) for a, b in ours),
            len(ours),
        ),
        (
            "pairs with two titles and another name in common in one group",
            sum(a.signature == b.signature for a, b in alike),
            len(alike),
        ),
        ("logs without a crash that get a title", sum(bool(one.title) for one in quiet), len(quiet)),
    ]


def _share(one: Named, two: Named) -> bool:
    """Tells whether the answers have a name in common."""
    return bool({one.log.title, *one.log.others} & {two.log.title, *two.log.others})


def run(corpus: str, answers: str) -> None:
    """Prints the table of a folder of logs. Raises UserError if there are none."""
    folder = Path(corpus)
    if not corpus or not folder.is_dir():
        raise UserError("bench names: --corpus DIR: name a folder of logs with their answers")
    if answers not in ANSWERS:
        raise UserError(f"bench names: --answers is one of {', '.join(ANSWERS)}, not {answers!r}")
    named = name(syzkaller(folder) if answers == "syzkaller" else satyr(folder))
    if not named:
        raise UserError(f"bench names: no logs in {folder}")
    for what, hits, total in table(named):
        print(f"{what:<62} {hits:>5} of {total}")
    for what, times in (
        ("a log", sorted(one.seconds for one in named)),
        ("64 KiB of a log", sorted(_seconds(one.log.text) for one in named)),
    ):
        middle, worst = times[len(times) // 2] * 1000, times[-1] * 1000
        print(f"{f'CPU milliseconds of {what}: median, worst':<62} {middle:.2f}, {worst:.2f}")


def _seconds(text: str) -> float:
    """Returns the CPU seconds for as much text as a record may hold: the log, repeated. It is the
    best of three tries, because other programs may be at work, too."""
    long = Log((text * (_RECORD // max(1, len(text)) + 1))[:_RECORD], "")
    return min(one.seconds for one in name(iter([long] * 3)))
