# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv reproduce: builds the commit twice in different surroundings and compares the packages.

Each build is a clone of the tree with its own pipeline, in a process of its own:

    python -m panicast_build.build.reproduce DISTRO RPM_HOST SURROUNDINGS INTO
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from panicast_build.build import dist, package, rpm, verified
from panicast_build.build import source as tree
from panicast_build.build.order import Order
from panicast_build.core import files, parallel, progress, tools
from panicast_build.core.errors import BuildError
from panicast_build.core.paths import CACHE, LOGS, ROOT, dist_dir
from panicast_build.core.run import run as run_command
from panicast_build.engine import engine
from panicast_build.engine.surroundings import USUAL, Surroundings
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro, RpmDistro

# What tells of its own build differs by nature.
BY_NATURE = (".buildinfo", ".changes")
OTHER = Surroundings(
    user="somebody",
    hostname="elsewhere",
    umask="077",
    environment={"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "et_EE.UTF-8"},
    later="+40d",
    cpus="0",
)


@dataclass(frozen=True)
class Place:
    """The folder of one clone, and the surroundings of its builds. The pipeline itself also runs
    with their umask, host name, time zone, language and CPUs."""

    folder: str
    around: Surroundings


PLACES = (Place("first", USUAL), Place("another place/with a longer path", OTHER))


def run(names: str, rpm_host: str = rpm.AUTO, jobs: int = 1) -> None:
    """Builds the packages of HEAD twice for a comma list of distros (or "all") and compares them.
    Raises BuildError with diffoscope's report if they differ."""
    chosen = distros.select(names)
    if len(chosen) > 1:
        parallel.run_all("reproduce", [distro.name for distro in chosen], ["--rpm-host", rpm_host], jobs)
        return
    for distro in chosen:
        _reproduce(distro, rpm_host)


def _reproduce(distro: Distro, rpm_host: str) -> None:
    tools.need("diffoscope", "unshare", "taskset", "git")
    if tree.commit()["dirty"]:
        progress.say("uncommitted changes are left out: the commit is built")
    later = distros.by_family(
        distro, deb=lambda _: OTHER.later, rpm=lambda target: _rpm_clock(target, rpm_host)
    )
    with tempfile.TemporaryDirectory(prefix="panicast-reproduce-") as top:
        made = []
        for number, place in enumerate(PLACES):
            around = replace(place.around, later=later) if place.around.later else place.around
            made.append(_elsewhere(distro, rpm_host, Path(top), replace(place, around=around), number))
        log = compare(distro.name, *made)
        if log:
            raise BuildError(f"two builds for {distro.name} differ", log)
        progress.say(f"{distro.name}: two builds gave the same {len(compared(made[0]))} files")
        _write_evidence(distro.name, made[0], later)


def _rpm_clock(distro: RpmDistro, rpm_host: str) -> str:
    """Returns how far ahead the second build's clock is; "" if the clock cannot be moved."""
    if rpm.host(engine.connect(), distro, rpm_host) != rpm.REAL:
        return OTHER.later
    progress.say(f"{distro.name}: both builds have the same clock: its own image has no faketime")
    return ""


def _elsewhere(distro: Distro, rpm_host: str, top: Path, place: Place, number: int) -> Path:
    """Returns the folder of what a clone of the tree has built at another place."""
    LOGS.mkdir(parents=True, exist_ok=True)
    root, into, around = top / place.folder, top / f"made-{number}", place.around
    into.mkdir()
    path = LOGS / f"reproduce-{distro.name}-{number}.log"
    cpus = ["taskset", "-c", around.cpus] if around.cpus else []
    shell = ["sh", "-c", 'umask "$0" && hostname "$1" && shift && exec "$@"', around.umask, around.hostname]
    outside = ["unshare", "--uts", *shell, *cpus]
    argv = [sys.executable, "-m", "panicast_build.build.reproduce", distro.name, rpm_host]
    env = {
        "PYTHONPATH": str(root / "packaging"),
        "PANICAST_CACHE": str(CACHE),
        **around.environment,
    }
    with progress.step(f"building for {distro.name} in {place.folder}", log=path), path.open("w") as log:
        run_command([*outside, "git", "clone", "--quiet", ROOT, root], log=log)
        run_command([*outside, *argv, json.dumps(asdict(around)), into], log=log, env=env, cwd=root)
    return into


def build(distro: Distro, rpm_host: str, around: Surroundings, into: Path) -> None:
    """Builds the packages of all components of a distro into a folder."""
    client, project = engine.connect(), metadata.load()
    for component in metadata.of_distro(distro.family, distro.components):
        builder = package.builder(Order(client, project, component, around=around), distro, rpm_host)
        with (into.with_suffix(f".{component.name}.log")).open("w") as log:
            builder.run(into, log)


def compared(folder: Path) -> list[str]:
    """Returns the names of a build's files that must be identical."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(BY_NATURE))


def compare(name: str, first: Path, second: Path) -> Path | None:
    """Returns diffoscope's report on the differences between two folders; None if there are none."""
    report = LOGS / f"reproduce-{name}.txt"
    parts = []
    for file in sorted({*compared(first), *compared(second)}):
        paths = [folder / file for folder in (first, second)]
        if missing := [path.parent for path in paths if not path.exists()]:
            parts.append(f"{file} is not in {missing[0]}\n")
        elif dist.sha256(paths[0]) != dist.sha256(paths[1]):
            said = run_command(["diffoscope", "--text-color", "never", *paths], check=False)
            parts.append(said.output)
    if not parts:
        return None
    LOGS.mkdir(parents=True, exist_ok=True)
    report.write_text("\n".join(parts))
    return report


def _write_evidence(name: str, made: Path, later: str) -> None:
    """Writes reproduced.json if dist/ holds the files that were compared."""
    known = verified.hashes(name)
    of = [{"file": file, "sha256": dist.sha256(made / file)} for file in compared(made)]
    if all(known.get(str(entry["file"])) == entry["sha256"] for entry in of):
        varied = [*("path", "host name", "user", "umask", "language", "time zone", "CPUs")]
        stated = {
            "packages": of,
            "varied": varied + (["clock"] if later else []),
            "date": verified.today(),
            **tree.commit(),
        }
        files.write(dist_dir(name) / verified.REPRODUCED, json.dumps(stated, indent=2) + "\n")


def main(arguments: Sequence[str]) -> None:
    """Builds in a process of its own: see above."""
    name, rpm_host, around, into = arguments
    os.chdir(ROOT)
    build(distros.get(name), rpm_host, Surroundings(**json.loads(around)), Path(into))


if __name__ == "__main__":
    main(sys.argv[1:])
