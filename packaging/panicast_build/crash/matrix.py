# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv smoke --matrix: crashes every kernel with every network card in every way, and reports what
was delivered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import docker
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from panicast_build.core import document, files, progress, tools
from panicast_build.core.choice import alone, choose
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import LOGS
from panicast_build.crash import cases, guest, many, verdict
from panicast_build.crash import tree as trees
from panicast_build.crash.architectures import ARCHITECTURES
from panicast_build.crash.cases import Case
from panicast_build.crash.kit import NICS, Kit, kit
from panicast_build.engine import engine
from panicast_build.kernel import folder
from panicast_build.smoke import vm
from panicast_build.targets import kernels

# What docs/crashes.md is made from: a later run, of a part only and in another clone, renews its own rows.
ROWS = document.DOCS / "crashes.json"
CONSOLES = LOGS / "crashes"


@dataclass(frozen=True)
class Crash:
    """One crash.

    way is its case's table. fault is "" if it was delivered. alone says that nothing was sent
    because the panic was in a driver with a lock of its own. frames counts what passed the cards.
    seconds is the wall-clock time until its reset, from the guest's start or from where it continued
    from another. built says how a kernel was built that was built for this.
    """

    kernel: str
    release: str
    nic: str
    case: str
    way: str
    fault: str
    alone: bool
    frames: int
    seconds: float
    date: str
    built: str = ""


@dataclass(frozen=True)
class Subject:
    """A kernel to crash: its name, how to make its guests' kit, its emulator, and how it was built
    ("": by its distribution)."""

    name: str
    make: Callable[[docker.DockerClient], Kit]
    emulator: str
    built: str = ""


def subjects(kernel: str, tree: str, config: str) -> list[Subject]:
    """Returns the kernels of the table that a comma list names, or the one built from a tree."""
    if tree:
        alone("--tree", {"--kernel": kernel})
        asked = folder.configured(tree, config)
        return [Subject(asked.tree.title, partial(trees.make, asked=asked), vm.QEMU, trees.BUILT)]
    if config:
        raise UserError(f"--config {config} needs a kernel", "say which: --tree DIR")
    return [
        Subject(each.name, partial(kit, kernel=each), ARCHITECTURES[each.arch].qemu)
        for each in kernels.select(kernel)
    ]


def run(kernel: str, nic: str, case: str, tree: str = "", config: str = "") -> None:
    """Crashes a guest for each kernel, card and case: comma lists of names, where "" means all.
    With a tree, crashes that source tree's kernel instead: see subjects().

    Renews its rows of docs/crashes.json, and so docs/crashes.md, and keeps the console of each guest
    that was not heard in the logs. Raises BuildError if there is one, and UserError for an unknown name.
    """
    chosen = subjects(kernel, tree, config)
    tools.need(vm.QEMU, *{subject.emulator for subject in chosen}, "setpriv")
    models = vm.devices()
    chosen_nics = choose(
        "network card", nic, {name: name for name, card in NICS.items() if card.model in models}
    )
    chosen_cases = cases.select(case)
    client = engine.connect()
    CONSOLES.mkdir(parents=True, exist_ok=True)
    crashes: list[Crash] = []
    unbuilt: list[BuildError] = []
    for subject in chosen:
        try:
            made = subject.make(client)
        except BuildError as error:
            # Archives drop kernels; the others are crashed all the same.
            progress.say(f"✗ {subject.name}: {error}")
            unbuilt.append(error)
            continue
        for card in chosen_nics:
            possible = [one for one in chosen_cases if made.can(one, card)]
            if left := [one.name for one in chosen_cases if one not in possible and not one.place]:
                progress.say(f"  {made.release} lacks what is needed with {card} for: {', '.join(left)}")
            if not possible:
                continue
            with progress.step(f"crashing {made.release} with {card}", log=CONSOLES):
                ended = list(_crash_all(subject, made, card, possible))
            _remember(ended)
            crashes += ended
    if not crashes and not unbuilt:
        raise UserError(
            "nothing was crashed: no chosen kernel can be crashed so with a chosen network card",
            f"choose another --case or --nic; {cases.TABLE.name} says what each way needs of a kernel",
        )
    _show(crashes)
    if lost := [crash for crash in crashes if crash.fault]:
        raise BuildError(f"{len(lost)} of {len(crashes)} crashes were not delivered", _console(lost[0]))
    if unbuilt:
        raise unbuilt[0]


def _crash_all(subject: Subject, made: Kit, nic: str, possible: Sequence[Case]) -> Iterator[Crash]:
    """Runs the cases."""
    with many.crashes(made, nic, possible) as outcomes:
        for case in possible:
            yield _judged(subject, made, nic, case, outcomes[case.name].result())


def _judged(subject: Subject, made: Kit, nic: str, case: Case, outcome: guest.Outcome) -> Crash:
    drivers = made.locking(nic)
    crash = Crash(
        kernel=subject.name,
        release=made.release,
        nic=nic,
        case=case.name,
        way=case.way,
        fault=verdict.fault(case, outcome, drivers),
        alone=bool(case.place) and verdict.left_alone(case, outcome, drivers),
        frames=len(outcome.frames),
        seconds=round(outcome.seconds, 1),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        built=subject.built,
    )
    _console(crash).unlink(missing_ok=True)
    if crash.fault:
        _console(crash).write_text(outcome.console)
        progress.say(f"✗ {subject.name} {nic} {case.name}: {crash.fault}")
    return crash


def _console(crash: Crash) -> Path:
    return CONSOLES / f"{crash.kernel}-{crash.nic}-{crash.case}.console"


def _remember(crashes: Sequence[Crash]) -> None:
    """Replaces older crashes of the same kind in docs/crashes.json, and writes docs/crashes.md."""
    earlier = json.loads(ROWS.read_text()) if ROWS.exists() else []
    known = {(one["kernel"], one["nic"], one["case"]): one for one in earlier}
    known |= {(crash.kernel, crash.nic, crash.case): asdict(crash) for crash in crashes}
    rank = {name: place for place, name in enumerate([*kernels.load(), *NICS, *cases.load()])}
    # Trees are in no table: behind those that are.
    ordered = [
        known[key] for key in sorted(known, key=lambda key: [(rank.get(n, len(rank)), n) for n in key])
    ]
    named = {case.way: _general(case) for case in cases.load().values() if case.names}
    # A line for each, which two branches can change beside each other.
    files.write(ROWS, "[\n" + ",\n".join(map(json.dumps, ordered)) + "\n]\n")
    document.write("crashes.md", crashes=ordered, named=named, qemu=vm.version())


def _general(case: cases.Case) -> str:
    """Returns a crash's name, or its names, for every place that its way has."""
    names = [
        name.replace(cases.function(case.place), "FUNCTION") if case.place else name for name in case.names
    ]
    return " or ".join(names)


def _show(crashes: Sequence[Crash]) -> None:
    """Prints how many crashes were delivered, by kernel and card."""
    nics = list(dict.fromkeys(crash.nic for crash in crashes))
    made = Counter((crash.release, crash.nic) for crash in crashes)
    heard = Counter((crash.release, crash.nic) for crash in crashes if not crash.fault)
    table = Table("kernel", *nics, box=SIMPLE)
    for release in dict.fromkeys(crash.release for crash in crashes):
        counts = [(heard[release, nic], made[release, nic]) for nic in nics]
        table.add_row(release, *(f"{got} of {all_}" if all_ else "" for got, all_ in counts))
    Console().print(table)
