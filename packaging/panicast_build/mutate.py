# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv mutate: puts small mistakes into the code, one at a time, and counts which the quick tests
notice.

mutmut makes those of Python, only inside functions and in a copy of the tree (mutmut_once.py runs
it); those of the C encoder are chosen (CHOSEN). What a test runs in another process runs without
the mistake. What mypy refuses counts as noticed, because tests/lint runs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build.core import progress
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import CACHE, LOGS, ROOT
from panicast_build.core.run import run as command

#: Where each program's rooms lie, and their tests. mutmut wants one folder of sources at the root of a tree.
PROGRAMS = {
    "receiver/src/panicast_receiver": "tests/unit/receiver",
    "packaging/panicast_build": "tests/unit/pipeline",
}
SOURCES = "src"
#: What mypy reads of each program, as in tests/lint; and what it must not ask of a file that has each
#: function many times: a comment that one mistake does not need, a type or name that another one changed.
TYPES = {
    "receiver/src/panicast_receiver": "receiver/pyproject.toml",
    "packaging/panicast_build": "pyproject.toml",
}
LENIENT = ("--no-warn-unused-ignores", "--disable-error-code=has-type", "--disable-error-code=no-redef")
#: Without PATH: the code that neither waits nor asks another machine.
PURE = (
    *(
        f"receiver/src/panicast_receiver/{room}"
        for room in ("wire", "assembly", "records", "meaning", "db", "settings", "alerts")
    ),
    *(f"packaging/panicast_build/{room}" for room in ("core", "targets", "repository", "release")),
    "kmod",
)
#: Files of these rooms that are not pure: they start a process, and are what it runs. Named as PATH, they
#: are tried.
IMPURE = ("meaning/child.py", "meaning/process.py")
#: Tests of a room that lie beside its own.
ALSO = {
    "wire": ("assembly", "test_security.py", "service/test_keeping.py"),
    "assembly": ("wire", "test_security.py"),
    "records": ("assembly", "db", "cli/test_cli.py", "wire"),
    "db": ("test_security.py", "service/test_keeping.py", "service/test_adversity.py"),
    "settings": ("cli/test_cli.py", "cli/test_check.py", "service/test_keeping.py", "sinks/test_telling.py"),
    "core": ("test_trusted.py",),
    "targets": ("test_trusted.py", "release", "build", "test_tasks.py"),
    "repository": ("test_trusted.py",),
    "release": ("test_trusted.py",),
}
#: What mutmut writes of a mutant with which all tests pass, or which no test comes to; of one not tried; and
#: of one that mypy refuses.
UNNOTICED, UNTRIED, REFUSED = (0, 5, 33), (None, 2, 34), 37
#: Lines with messages, whose wording is not tested. Whether they are raised or said is decided by
#: the lines around them.
MESSAGES = (r"^\s*raise ", r"^\s*(print|say|progress\.say|logger\.\w+)\(")
#: The mutants of a file by the last digit of their numbers, a sample first: mutmut begins anew for each part.
PARTS = ("7", "53", "190", "8642")
#: A file of the copy: the quickest tests come first, so that a mistake is mostly noticed within a second.
ORDERED = "tests/unit/conftest.py"
QUICKEST = """
import json
from pathlib import Path

def pytest_collection_modifyitems(items):
    known = Path("mutmut-stats.json")
    seconds = json.loads(known.read_text())["duration_by_test"] if known.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
"""
CHOSEN = ROOT / "tests/unit/kmod/mutants.toml"
C_TESTS = {
    name: [f"tests/unit/kmod/test_{test}.py" for test in tests]
    for name, tests in {
        "wire.c": ("wire", "bounds", "parity"),
        "parity.c": ("parity",),
        "log.c": ("log", "bounds"),
    }.items()
}


class Score(NamedTuple):
    """The result for a room: how many mistakes were noticed, how many of those by mypy, how many
    were tried, and the names of those that were not noticed."""

    killed: int
    refused: int
    tried: int
    survivors: tuple[str, ...]


def run(path: str, minutes: int) -> None:
    """Tries the mistakes of a room or file ("": of all pure rooms) for this many minutes; shows the
    score."""
    rooms = PURE if not path else (path.rstrip("/"),)
    scores, log = {}, LOGS / "mutate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    for number, room in enumerate(rooms):
        until = time.monotonic() + minutes * 60 / len(rooms)
        with progress.step(f"mutating {room} ({number + 1} of {len(rooms)})"):
            scores[room] = _of_c(until) if room == "kmod" else _of_python(room, until, log)
    _show(scores)
    if untried := [room for room, one in scores.items() if not one.tried]:
        progress.say(
            f"nothing was tried in {', '.join(untried)}: there was no time left, give more --minutes"
        )
    progress.say(f"whole log, survivors and what they change: {log}")


def score(codes: Mapping[str, int | None]) -> Score:
    """Returns the score of mutmut's exit codes by mutant; mutants that were not tried do not
    count."""
    tried = {name: code for name, code in codes.items() if code not in UNTRIED}
    survivors = sorted(name for name, code in tried.items() if code in UNNOTICED)
    refused = sum(code == REFUSED for code in tried.values())
    return Score(len(tried) - len(survivors), refused, len(tried), tuple(survivors))


def tests_of(room: str) -> list[str]:
    """Returns the tests that notice mistakes in a room; for a file, those of its room. Raises
    UserError if there are none."""
    program = _program(room)
    name = room.removeprefix(f"{program}/").split("/")[0]
    places = [f"{PROGRAMS[program]}/{one}" for one in (name, *ALSO.get(name, ()))] if program else []
    found = [place for place in places if (ROOT / place).exists()]
    if not found or not (ROOT / room).exists():
        raise UserError(f"{room}: no room that has tests", f"there are, among others: {', '.join(PURE)}")
    return found


def _of_python(room: str, until: float, log: Path) -> Score:
    with copied(room) as folder:
        # One part after another until the time is up: what was tried then is a sample.
        for digits in PARTS:
            left = until - time.monotonic()
            if left <= 0 or not _mutmut(folder, f"*__mutmut_*[{digits}]", left, log):
                break
        found = score(_codes(folder))
        with log.open("a") as file:
            for name in found.survivors:
                shown = command([sys.executable, "-m", "mutmut", "show", name], cwd=folder, check=False)
                file.write(f"{shown.output}\n")
        return found


@contextlib.contextmanager
def copied(room: str) -> Iterator[Path]:
    """Yields a copy of the tree as mutmut wants it: both programs in one folder of sources."""
    folder = CACHE / "mutate"
    shutil.rmtree(folder, ignore_errors=True)
    for name in command(["git", "ls-files"], cwd=ROOT).output.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for program in PROGRAMS:
        moved = folder / SOURCES / Path(program).name
        moved.parent.mkdir(exist_ok=True)
        (folder / program).rename(moved)
    where = f"{SOURCES}/{Path(room).relative_to(Path(_program(room)).parent)}"
    strict = ["--config-file", TYPES[_program(room)], "--output=json", *LENIENT]
    wanted = {
        "source_paths": [SOURCES],
        "only_mutate": [where if where.endswith(".py") else f"{where}/*.py"],
        "do_not_mutate": [f"*/{name}" for name in IMPURE if not where.endswith(name)],
        "also_copy": sorted(path.name for path in folder.iterdir() if path.name not in (SOURCES, "tests")),
        "pytest_add_cli_args_test_selection": tests_of(room),
        "pytest_add_cli_args": ["-q", "-x"],
        "do_not_mutate_patterns": list(MESSAGES),
        "type_check_command": [sys.executable, "-m", "mypy", *strict, where],
    }
    settings = folder / "pyproject.toml"
    text = settings.read_text()
    text = text.replace('pythonpath = ["packaging", "receiver/src"]', f'pythonpath = ["{SOURCES}"]')
    text = text.replace('mypy_path = "packaging"', f'mypy_path = "{SOURCES}"')
    # JSON's lists of strings are TOML's.
    lines = [f"{key} = {json.dumps(value)}" for key, value in wanted.items()]
    (folder / ORDERED).write_text(QUICKEST)
    # Seconds that a mistake may take: in all, so long as on a busy machine; mutmut_once.py counts those of
    # the processor.
    flags = ("use_git_change_detection = false", "track_dependencies = false", "timeout_multiplier = 60")
    settings.write_text("\n".join([text, "[tool.mutmut]", *lines, *flags, ""]))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _program(room: str) -> str:
    """Returns the folder of the program that a room or file belongs to; "" for none."""
    return next((one for one in PROGRAMS if f"{room}/".startswith(f"{one}/")), "")


def _mutmut(folder: Path, names: str, seconds: float, log: Path) -> bool:
    """Runs mutmut for at most this many seconds; returns False if it did not finish. Raises
    BuildError."""
    with log.open("a") as file:
        # Nothing is imported from this program's folder, which has names that others have, too.
        program = [sys.executable, "-P", str(Path(__file__).with_name("mutmut_once.py"))]
        argv = [*program, "run", "--max-children", str(os.cpu_count() or 1), names]
        process = subprocess.Popen(argv, cwd=folder, stdout=file, stderr=file, start_new_session=True)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise BuildError("mutmut failed; do the tests pass?", log)
    return True


def _codes(folder: Path) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for file in sorted((folder / "mutants").rglob("*.meta")):
        found |= json.loads(file.read_text())["exit_code_by_key"]
    return found


class Mistake(NamedTuple):
    """A chosen mistake: in a file of kmod/, the words old become new."""

    file: str
    old: str
    new: str


def chosen() -> list[Mistake]:
    """Returns the mistakes of CHOSEN. Raises UserError unless each one's old words occur exactly
    once."""
    found = [Mistake(**row) for row in tomllib.loads(CHOSEN.read_text())["mistake"]]
    for one in found:
        if (ROOT / "kmod" / one.file).read_text().count(one.old) != 1:
            raise UserError(f"{CHOSEN.name}: {one.old!r} must occur exactly once in kmod/{one.file}")
    return found


def _of_c(until: float) -> Score:
    survivors, tried = [], 0
    folder = CACHE / "mutate"
    shutil.rmtree(folder, ignore_errors=True)
    # What the encoder's tests read.
    for part in ("kmod", "tests", "packaging", "receiver"):
        shutil.copytree(ROOT / part, folder / part, symlinks=True)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    try:
        for one in chosen():
            if time.monotonic() > until:
                break
            tried += 1
            if _passes(one, folder):
                survivors.append(f"{one.file}: {one.old} -> {one.new}")
    finally:
        shutil.rmtree(folder)
    return Score(tried - len(survivors), 0, tried, tuple(survivors))


def _passes(mistake: Mistake, folder: Path) -> bool:
    """Tells whether the encoder's tests pass in spite of a mistake. It is made in a copy of the
    tree, and undone afterwards."""
    file = folder / "kmod" / mistake.file
    right = file.read_text()
    file.write_text(right.replace(mistake.old, mistake.new))
    argv = [sys.executable, "-m", "pytest", "-q", "-x", *C_TESTS[mistake.file]]
    done = command(argv, cwd=folder, check=False)
    file.write_text(right)
    return done.code == 0


def _show(scores: Mapping[str, Score]) -> None:
    table = Table(box=SIMPLE)
    for head in ("room", "tried", "noticed", "by mypy", "share"):
        table.add_column(head, justify="left" if head == "room" else "right")
    for room, one in [*scores.items(), ("all", total(scores.values()))]:
        share = f"{100 * one.killed / one.tried:.0f} %" if one.tried else "-"
        table.add_row(room, str(one.tried), str(one.killed), str(one.refused), share)
    Console(soft_wrap=True).print(table)
    for room, one in scores.items():
        for name in one.survivors:
            print(f"{room}: {name}")


def total(scores: Iterable[Score]) -> Score:
    """Returns the sum of the scores."""
    sums: Counter[str] = Counter()
    for one in scores:
        sums.update(killed=one.killed, refused=one.refused, tried=one.tried)
    return Score(sums["killed"], sums["refused"], sums["tried"], ())
