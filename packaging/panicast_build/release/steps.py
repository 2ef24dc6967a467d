# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of a release, in order: each says what it does, and does it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from panicast_build.build import dist, signing, source
from panicast_build.core import paths, progress
from panicast_build.core.errors import UserError
from panicast_build.core.paths import DIST, ROOT
from panicast_build.core.run import run
from panicast_build.release import attestation, statements
from panicast_build.repository import key
from panicast_build.repository.key import Key
from panicast_build.targets import changelog, metadata
from panicast_build.targets.distros import Distro

# What leads to keys, and only the step that signs is given.
SECRETS = ("GNUPGHOME", "GPG_TTY", "GPG_AGENT_INFO", "SSH_AUTH_SOCK", signing.SETTING, signing.PIN)
NO_KEYS = "/nonexistent"


@dataclass(frozen=True)
class Release:
    """A release: its version, its targets, those to smoke-test, the key that signs, the folder, and
    the targets whose kernels get packages with the module itself."""

    version: str
    distros: tuple[Distro, ...]
    smoked: tuple[str, ...]
    sign: str
    folder: Path
    modules: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """Returns the name of its tag in git."""
        return f"v{self.version}"

    @property
    def targets(self) -> dict[str, str]:
        """Returns the folders of dist/ that it contains, each with the task that fills it."""
        modules = {paths.modules_target(name): "modules" for name in self.modules}
        return {**{distro.name: "package" for distro in self.distros}, **modules}

    @property
    def names(self) -> str:
        """Returns the targets as a comma list."""
        return ",".join(distro.name for distro in self.distros)


@dataclass(frozen=True)
class ReleaseStep:
    """One step: its name, a description, and its function, which writes to a log."""

    name: str
    says: str
    do: Callable[[Release, TextIO], None]
    secrets: bool = False


def inv(log: TextIO, *arguments: str, secrets: bool = False, given: Sequence[str] = ()) -> None:
    """Runs one of our tasks. Unless the task needs keys, hides what leads to them, except the given
    names, and gives it an empty home."""
    with tempfile.TemporaryDirectory(prefix="panicast-home-") as home:
        none = {name: NO_KEYS if name == "GNUPGHOME" else "" for name in SECRETS}
        none = {name: value for name, value in none.items() if name not in given}
        env = {} if secrets else {**none, "HOME": home, "PANICAST_CACHE": str(paths.CACHE)}
        run([sys.executable, "-m", "invoke", "--search-root", ROOT, *arguments], log=log, env=env)


def _test(_: Release, log: TextIO) -> None:
    inv(log, "test", "--nightly")


def _package(release: Release, log: TextIO) -> None:
    inv(log, "package", "--distro", release.names)


def _modules(release: Release, log: TextIO) -> None:
    if not release.modules:
        progress.say("  none: --modules names the targets")
    for name in release.modules:
        inv(log, "modules", "--distro", name, given=(signing.SETTING, signing.PIN))


def _lint(_: Release, log: TextIO) -> None:
    inv(log, "lint")


def _smoke(release: Release, log: TextIO) -> None:
    if not release.smoked:
        progress.say("  none: --smoke names the targets, and the release notes say which they were")
    for name in release.smoked:
        inv(log, "smoke", "--distro", name)


def _collect(release: Release, log: TextIO) -> None:
    """Copies what was built, if it is complete and of this commit. Deletes what an earlier try
    left."""
    for distro in release.distros:
        target = paths.modules_target(distro.name)
        # The repositories would get them, though this release has not built them.
        if target not in release.targets and dist.read(target):
            raise UserError(
                f"dist/{target} has packages that this release does not name",
                f"delete that folder, or name it: --modules {distro.name}",
            )
    shutil.rmtree(release.folder)
    for target, task in release.targets.items():
        stated = dist.read(target)
        if stated.get("version") != release.version:
            raise UserError(f"dist/{target} is not of {release.version}", f"build it again: ./inv {task}")
        for component in stated["components"].values():
            if not dist.intact(target, component):
                raise UserError(f"dist/{target} is not as it was built", f"build it again: ./inv {task}")
        into = release.folder / target
        shutil.copytree(paths.dist_dir(target), into, ignore=lambda top, names: _folders(Path(top), names))
        # The release's own sums are over the packages as users get them.
        (into / dist.SUMS).unlink()
        log.write(f"{target}: {len(list(into.iterdir()))} files\n")
    entry = changelog.parse(changelog.PATH.read_text())[0]
    notes = statements.notes(metadata.load(), entry, release.distros, release.smoked)
    (release.folder / statements.NOTES).write_text(notes)


def _folders(top: Path, names: Sequence[str]) -> set[str]:
    return {name for name in names if (top / name).is_dir()}


def _sign(release: Release, log: TextIO) -> None:
    repo = ["--distro", release.names, "--into", str(DIST / "repo")]
    inv(log, "repo", *repo, *(["--sign", release.sign] if release.sign else []), secrets=True)
    shutil.rmtree(release.folder / "repo", ignore_errors=True)
    shutil.copytree(DIST / "repo", release.folder / "repo", symlinks=True)
    (release.folder / "repo" / ".lock").unlink(missing_ok=True)
    _take_signed(release)
    signing = key.find(release.sign) if release.sign else None
    state(release, signing, str(source.commit()["commit"]), datetime.now(UTC))
    summed = release.folder / statements.SUMS
    summed.write_text(statements.sums(release.folder))
    if signing:
        signing.detached(summed, summed.with_name(f"{summed.name}.asc"))


def _take_signed(release: Release) -> None:
    """Replaces RPMs by the repository's, because signing changes them."""
    published = {path.name: path for path in (release.folder / "repo/current/").rglob("*.rpm")}
    for distro in release.distros:
        for path in (release.folder / distro.name).rglob("*.rpm"):
            shutil.copyfile(published[path.name], path)


def state(release: Release, signing: Key | None, commit: str, now: datetime) -> None:
    """Writes the SBOM and provenance of the files as users get them. Only the sums are made
    later."""
    project, folder = metadata.load(), release.folder
    (folder / statements.SBOM).write_text(statements.sbom(project, release.distros, folder, now))
    statement = statements.provenance(project, release.distros, folder, commit, now)
    (folder / statements.PROVENANCE).write_text(attestation.envelope(statement.encode(), signing))


def tagged(release: Release) -> str:
    """Returns the commit that has the release's tag; "" if none has."""
    name = f"refs/tags/{release.tag}^{{commit}}"
    return run(["git", "-C", ROOT, "rev-parse", "--quiet", "--verify", name], check=False).output.strip()


def _tag(release: Release, log: TextIO) -> None:
    if tagged(release):
        # Interrupted after the tag was made: no other is let through.
        return
    how = ["-u", release.sign] if release.sign else ["-a"]
    run(["git", "-C", ROOT, "tag", *how, "-m", f"Release {release.version}", release.tag], log=log)


STEPS = (
    ReleaseStep("package", "build the packages of every target: ./inv package", _package),
    ReleaseStep(
        "modules",
        "build the packages with the module itself, signed: ./inv modules",
        _modules,
        secrets=True,
    ),
    ReleaseStep("lint", "run every linter: ./inv lint", _lint),
    ReleaseStep("test", "run every test: ./inv test --nightly", _test),
    ReleaseStep("smoke", "crash machines that have them installed: ./inv smoke", _smoke),
    ReleaseStep("collect", "gather packages and release notes", _collect),
    ReleaseStep(
        "sign",
        "make the repositories, SBOM and provenance; sign what is signed",
        _sign,
        secrets=True,
    ),
    ReleaseStep("tag", "tag the commit", _tag, secrets=True),
)
