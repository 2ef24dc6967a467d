# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv release: refuses what must not be released, sets the version, and runs the steps.

An interrupted release continues where it stopped, if the commit and the arguments are the same.
.VERSION.part/ holds what is made so far, and in steps/ a file for each step that is done.
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from panicast_build.build import source
from panicast_build.core import files, progress
from panicast_build.core.errors import UserError
from panicast_build.core.paths import LOGS, ROOT
from panicast_build.core.run import run as run_command
from panicast_build.release.steps import STEPS, Release, tagged
from panicast_build.repository import key
from panicast_build.targets import changelog, distros, metadata

FOLDER = ROOT / "release"
VERSION = re.compile(r"\d+\.\d+\.\d+")
STAMPS = "steps"


def run(version: str, names: str, smoked: str, sign: str, dry: bool, modules: str = "") -> None:
    """Releases version for a comma list of distros ("": all), smoke-tests another list, and builds
    modules for the newest kernels of a third; dry only lists the steps."""
    release = Release(
        version=version,
        distros=tuple(distros.select(names or distros.ALL)),
        smoked=tuple(distro.name for distro in distros.select(smoked)) if smoked else (),
        sign=sign,
        folder=_unfinished(version) / version,
        modules=tuple(distro.name for distro in distros.select(modules)) if modules else (),
    )
    check(release)
    if dry:
        _say(release)
        return
    state_version(release)
    release.folder.mkdir(parents=True, exist_ok=True)
    lists = [release.names, ",".join(release.smoked), ",".join(release.modules)]
    asked = " ".join([str(source.commit()["commit"]), *lists, sign])
    stamps = _unfinished(version) / STAMPS
    stamps.mkdir(exist_ok=True)
    for step in STEPS:
        stamp = stamps / step.name
        if stamp.exists() and stamp.read_text() == asked:
            progress.say(f"{step.name}: done already")
            continue
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / f"release-{step.name}.log"
        with progress.step(f"{step.name}: {step.says}", log=path), path.open("w") as log:
            step.do(release, log)
        files.write(stamp, asked)
    release.folder.rename(FOLDER / version)
    shutil.rmtree(_unfinished(version))
    progress.say(f"{version} is in {FOLDER / version}; publish it, then: git push --follow-tags")


def _unfinished(version: str) -> Path:
    return FOLDER / f".{version}.part"


def _say(release: Release) -> None:
    progress.say(f"would release {release.version} for {release.names}:")
    if _stated(ROOT) != release.version or _unreleased():
        progress.say("  version: state it everywhere, date its entry of CHANGELOG.md, commit that")
    for step in STEPS:
        with_keys = " (with your keys)" if step.secrets else ""
        progress.say(f"  {step.name}: {step.says}{with_keys}")
    progress.say(f"  then {FOLDER / release.version} has it all")


def check(release: Release) -> None:
    """Raises UserError for what must not be released."""
    if not VERSION.fullmatch(release.version):
        raise UserError(f"{release.version!r} is not a version", "say MAJOR.MINOR.PATCH, e.g. 1.2.0")
    if (FOLDER / release.version).exists():
        raise UserError(f"{release.version} is released already: {FOLDER / release.version}")
    here = source.commit()
    there = tagged(release)
    if there and not (there == here["commit"] and _unfinished(release.version).exists()):
        raise UserError(f"the tag {release.tag} is there already", "raise the version")
    if here["dirty"]:
        raise UserError("the tree has changes that are not committed", "commit or stash them: git status")
    changelog.release(changelog.PATH.read_text(), release.version, datetime.now(UTC).date())
    if _numbers(release.version) < _numbers(_stated(ROOT)):
        raise UserError(f"{release.version} is older than {_stated(ROOT)}", "raise the version")
    if release.sign:
        key.find(release.sign)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _git(*arguments: str) -> str:
    return run_command(["git", "-C", ROOT, *arguments]).output


def _stated(root: Path) -> str:
    return metadata.stated(root).version


def _unreleased() -> bool:
    return changelog.parse(changelog.PATH.read_text())[0].released is None


def state_version(release: Release) -> None:
    """Sets the tree's version in all places, dates its entry of CHANGELOG.md, and commits that."""
    today = datetime.now(UTC).date()
    if _stated(ROOT) == release.version and not _unreleased():
        return
    metadata.set_version(release.version)
    text = changelog.PATH.read_text()
    files.write(changelog.PATH, changelog.release(text, release.version, today))
    _git("commit", "--quiet", "--all", "-m", f"Release {release.version}")
