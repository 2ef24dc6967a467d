# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv repo: takes the packages from dist/, signs new ones, makes the indexes and publishes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from panicast_build.build import dist, rpm
from panicast_build.core import paths, progress
from panicast_build.core.errors import UserError
from panicast_build.engine import engine
from panicast_build.repository import apt, dnf, entry, kernels, key, publish
from panicast_build.repository.key import Key
from panicast_build.repository.publish import Snapshot, Terms
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Project

PUBLIC_KEY = "panicast-archive-keyring.asc"


class Archive(Protocol):
    """One kind of repository: the module of a package manager."""

    # What its packages' file names end with.
    SUFFIXES: tuple[str, ...]

    def place(self, distro: Distro, name: str, kernel: bool) -> str:
        """Returns the folder of a snapshot for the package with this file name."""

    def make(self, made: Snapshot, distro: Distro, terms: Terms) -> None:
        """Makes the indexes of a target's packages, which are in the snapshot already."""


ARCHIVES: dict[str, Archive] = {"deb": apt, "rpm": dnf}


def run(
    sign: str = "",
    names: str = "",
    into: str = "",
    url: str = "",
    valid_days: int = apt.VALID_DAYS,
    now: int = 0,
    kernel_names: str = "",
    trust: str = "",
) -> Path:
    """Publishes the packages in dist/ of a comma list of distros ("": all that were built) to the
    folder into ("": dist/repo).

    They are signed with the key that GnuPG knows as sign; "" signs nothing. kernel_names is a comma
    list of distros whose patched kernels are published too, each in a place of its own. trust is a
    comma list of further keys, the next or the last one, that whoever installs the keyring package
    trusts. url is where the folder will be served ("": as metadata.toml says). An apt index is
    valid for valid_days from now on (seconds since 1970; 0: the clock's).
    """
    project = metadata.load()
    chosen = distros.select(names) if names else [d for d in distros.load().values() if dist.read(d.name)]
    for distro in chosen:
        if not dist.read(distro.name):
            raise UserError(
                f"nothing was built for {distro.name}", f"run: ./inv package --distro {distro.name}"
            )
    if not chosen:
        raise UserError("nothing was built yet", "run: ./inv package --distro all")
    with_kernels = distros.select(kernel_names) if kernel_names else []
    for distro in with_kernels:
        if distro not in chosen:
            raise UserError(
                f"the kernel of {distro.name} is named in --kernels, but its packages are not published",
                f"name it in --distro too, or run: ./inv package --distro {distro.name}",
            )
    out = Path(into).resolve() if into else paths.DIST / "repo"
    signing = key.find(sign) if sign else None
    others = [key.find_public(name.strip()) for name in trust.split(",") if name.strip()]
    if others and not signing:
        raise UserError("--trust names keys, but nothing is signed", "name the key that signs: --sign KEY")
    where = (url or project.archive).rstrip("/")
    trusted = [signing, *others] if signing else []
    terms = Terms(project, trusted, now or int(time.time()), valid_days, where)
    if not signing:
        progress.say("not signed: apt and dnf refuse it unless they are told to trust it (--sign signs it)")
    with publish.publishing(out) as made, ExitStack() as step:
        if signing:
            client = engine.connect()
            for distro in chosen:
                entry.build(client, project, distro, trusted, where, made, terms.now)
        step.enter_context(progress.step(f"publishing to {out}"))
        _withdraw(made, project)
        for distro in chosen:
            _take(made, distro, signing, distro in with_kernels)
        # Those too of which nothing is new: their indexes are for this publication.
        for distro in distros.load().values():
            _index(made, distro, terms)
        if trusted:
            key.export_text(trusted, made.folder / PUBLIC_KEY)
    progress.say(f"published {made.name} in {out}; serve that folder as {where}")
    return out


def _index(made: Snapshot, distro: Distro, terms: Terms) -> None:
    archive = ARCHIVES[distro.family]
    place = archive.place(distro, "", kernel=False)
    if any(path.startswith(f"{place}/") for path in made.packages):
        archive.make(made, distro, terms)


def _built(distro: Distro, signed: bool) -> Iterator[Path]:
    """Yields the packages of a distro in dist/, those of ./inv modules too, and with a key its keyring
    package. Raises UserError if any of them is not fit to be published."""
    suffixes, modules = ARCHIVES[distro.family].SUFFIXES, paths.modules_target(distro.name)
    targets = {
        distro.name: "package",
        modules: "modules",
        **({entry.target(distro): "repo"} if signed else {}),
    }
    for target, task in targets.items():
        for built in dist.read(target).get("components", {}).values():
            if not dist.intact(target, built):
                raise UserError(
                    f"dist/{target} is not as it was built",
                    f"build it again: ./inv {task} --distro {distro.name}",
                )
            if target == modules and built.get("inputs", {}).get("host") == rpm.DEBIAN:
                raise UserError(
                    f"dist/{target} has the module for Debian's kernel, which {distro.name} does not have",
                    "delete that folder; to build for the distribution's own kernels, "
                    f"run where a registry answers: ./inv modules --distro {distro.name}",
                )
            for file in built["files"]:
                if file["file"].endswith(suffixes):
                    yield paths.dist_dir(target) / file["file"]


def _withdraw(made: Snapshot, project: Project) -> None:
    """Removes what earlier versions published beside the module: kernels and the distribution's
    headers, which any upgrade of a stranger's machine would install, and kernels that are called as
    the distribution's."""
    ours = (project.name, f"kmod-{project.name}")
    for place in list(made.packages):
        path = Path(place)
        kernel = kernels.COMPONENT in path.parts
        if not (kernels.ours(path.name, project) if kernel else path.name.startswith(ours)):
            (made.folder / place).unlink()
            del made.packages[place]


def _take(made: Snapshot, distro: Distro, signing: Key | None, with_kernel: bool) -> None:
    """Copies what is new of a distro's packages. Raises UserError if one was published with other
    bytes."""
    fresh = []
    archive = ARCHIVES[distro.family]
    found = [(path, archive.place(distro, path.name, False)) for path in _built(distro, signing is not None)]
    if with_kernel:
        built = kernels.built(distro, archive.SUFFIXES)
        found += [(path, archive.place(distro, path.name, True)) for path in built]
    for path, folder in found:
        place = f"{folder}/{path.name}"
        if place in made.packages and path.parent == paths.dist_dir(entry.target(distro)):
            # Its version says what is in it: whoever has it has the same.
            continue
        sha256 = dist.sha256(path)
        before = made.packages.setdefault(place, sha256)
        if before != sha256:
            raise UserError(
                f"{path.name} was published with other bytes",
                f"a published package never changes: raise the version in {metadata.METADATA}",
            )
        dest = made.folder / place
        if not dest.exists():
            dest.parent.mkdir(parents=True, exist_ok=True)
            # Not a link: signing changes RPMs, and dist/ may be built anew.
            shutil.copyfile(path, dest)
            fresh.append(dest)
    if signing:
        signing.sign_rpms([path for path in fresh if path.suffix == ".rpm"])
