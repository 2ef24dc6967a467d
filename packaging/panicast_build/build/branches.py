# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv branches: commits each source package, rendered and unpacked, to a branch of its own, for what
reads a distribution's packaging from git: git-buildpackage and salsa, COPR, OBS."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from panicast_build.build import deb, rpm, source
from panicast_build.core import archive, progress, tools
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run as run_command
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import DebDistro, Distro, RpmDistro
from panicast_build.targets.metadata import Component, Project

# What COPR needs beside a spec.
BESIDE = ROOT / "packaging/templates/branches/rpm"
# Only git's own commands need a name.
WHO = "panicast"


def name(distro: str, package: str) -> str:
    """Returns the branch of a source package for a distro."""
    return f"{distro}/{package}"


def tag(distro: str, package: str, version: str) -> str:
    """Returns the tag of what a Debian source package's archive is made of, as debian/gbp.conf has
    it."""
    return f"upstream/{name(distro, package)}/{version}"


@dataclass(frozen=True)
class Rendered:
    """A branch's files by their path, and those that are upstream's: what git-buildpackage makes the
    source archive of. A branch with a spec has its archives instead."""

    files: Mapping[str, Path | bytes]
    upstream: Mapping[str, Path | bytes]


def run(names: str) -> None:
    """Commits the source packages of HEAD for a comma list of distros (or "all") to branches of this
    repository, called DISTRO/PACKAGE. Nothing is pushed; a branch whose content is the same stays."""
    tools.need("git")
    project, here = metadata.load(), source.commit()
    if here["dirty"]:
        progress.say("the tree differs from its commit: the branches get what is on disk")
    for distro in distros.select(names):
        for component in metadata.of_distro(distro.family, distro.components):
            branch = name(distro.name, component.package)
            about = f"{component.package} {project.version} for {distro.name}, from {here['commit']}"
            upstream = tag(distro.name, component.package, project.version)
            made = _renew(branch, upstream, _rendered(project, component, distro), about)
            progress.say(f"{branch}: {made[:12] or 'as before'}")


def _rendered(project: Project, component: Component, distro: Distro) -> Rendered:
    """Returns the files of a source package: the source with debian/, or the spec with its archives."""
    files, epoch = source.files(component.name), source.epoch()

    def debian(target: DebDistro) -> Rendered:
        upstream = deb.upstream(component, target, files)
        packaging = deb.render(project, component, target, epoch)
        return Rendered(upstream | {f"debian/{path}": text for path, text in packaging.items()}, upstream)

    def spec(target: RpmDistro) -> Rendered:
        sources = rpm.sources(project, component, target, epoch, files)
        return Rendered({**archive.read_tree(BESIDE), **sources}, {})

    return distros.by_family(distro, deb=debian, rpm=spec)


def _renew(branch: str, upstream: str, wanted: Rendered, message: str) -> str:
    """Commits what a branch, which is made if need be, is to have; returns the commit, or "" if nothing
    has changed. Upstream's files are a commit of their own, which is merged and tagged."""
    before, tree = _found(f"refs/heads/{branch}"), _tree(wanted.files)
    source_tree = _tree(wanted.upstream) if wanted.upstream else ""
    if _found(f"{before}^{{tree}}") == tree and source_tree in ("", _found(f"refs/tags/{upstream}^{{tree}}")):
        return ""
    parents = [before] if before else []
    if source_tree:
        imported = _commit(source_tree, [], message)
        # Annotated, so that --follow-tags pushes it with the branch.
        _git("tag", "--annotate", "--no-sign", "--force", "-m", message, upstream, imported)
        parents.append(imported)
    made = _commit(tree, parents, message)
    _git("update-ref", f"refs/heads/{branch}", made)
    return made


def _tree(files: Mapping[str, Path | bytes]) -> str:
    """Writes files as a tree object of this repository; returns its hash."""
    with tempfile.TemporaryDirectory(prefix="panicast-") as top:
        tree = Path(top) / "tree"
        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            data, run = archive.read(content)
            (tree / path).write_bytes(data)
            if run:
                (tree / path).chmod(0o755)
        env = {"GIT_INDEX_FILE": f"{top}/index", "GIT_WORK_TREE": str(tree)}
        within = ["git", "--git-dir", _git("rev-parse", "--absolute-git-dir")]
        # Nothing is left out, whatever a .gitignore says.
        run_command([*within, "add", "--all", "--force", "."], env=env, cwd=tree)
        return run_command([*within, "write-tree"], env=env).output.strip()


def _commit(tree: str, parents: Sequence[str], message: str) -> str:
    return _git("commit-tree", tree, *(word for parent in parents for word in ("-p", parent)), "-m", message)


def _found(what: str) -> str:
    """Returns the hash of an object, or "" if it is not there."""
    return _git("rev-parse", "--verify", "--quiet", what, check=False)


def _identity() -> dict[str, str]:
    email = metadata.stated().maintainer.partition("<")[2].rstrip(">")
    stated = {"NAME": WHO, "EMAIL": email, "DATE": f"{source.epoch()} +0000"}
    return {f"GIT_{kind}_{key}": value for kind in ("AUTHOR", "COMMITTER") for key, value in stated.items()}


def _git(*arguments: str, check: bool = True) -> str:
    return run_command(["git", "-C", ROOT, *arguments], check=check, env=_identity()).output.strip()
