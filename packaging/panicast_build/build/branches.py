# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv branches: commits each source package, rendered and unpacked, to a branch of its own, for what
reads a distribution's packaging from git: git-buildpackage and salsa, COPR, OBS."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from panicast_build.build import deb, rpm, source
from panicast_build.core import archive, progress, tools
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run as run_command
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Component, Project

# What COPR needs beside a spec.
BESIDE = ROOT / "packaging/templates/branches/rpm"
# Only git's own commands need a name.
WHO = "panicast"


def name(distro: str, package: str) -> str:
    """Returns the branch of a source package for a distro."""
    return f"{distro}/{package}"


def run(names: str) -> None:
    """Commits the source packages of HEAD for a comma list of distros (or "all") to branches of this
    repository, called DISTRO/PACKAGE. Nothing is pushed; a branch whose content is the same stays."""
    project, here = metadata.load(), source.commit()
    if here["dirty"]:
        progress.say("the tree differs from its commit: the branches get what is on disk")
    for distro in distros.select(names):
        for component in metadata.of_distro(distro.family, distro.components):
            branch = name(distro.name, component.package)
            message = f"{component.package} {project.version} for {distro.name}, from {here['commit']}"
            made = _commit(branch, _rendered(project, component, distro), message)
            progress.say(f"{branch}: {made or 'as before'}")


def _rendered(project: Project, component: Component, distro: Distro) -> dict[str, Path | bytes]:
    """Returns the files of a source package by their path: the source with debian/, or the spec with
    its archives."""
    files, epoch = source.files(component.name), source.epoch()
    return distros.by_family(
        distro,
        deb=lambda target: {
            **deb.upstream(component, target, files),
            **{
                f"debian/{path}": text for path, text in deb.render(project, component, target, epoch).items()
            },
        },
        rpm=lambda target: {
            **archive.read_tree(BESIDE),
            **rpm.sources(project, component, target, epoch, files),
        },
    )


def _commit(branch: str, files: Mapping[str, Path | bytes], message: str) -> str:
    """Commits files to a branch, which is made if need be; returns the commit's short hash, or "" if
    nothing has changed."""
    tools.need("git")
    with tempfile.TemporaryDirectory(prefix="panicast-") as top:
        tree = Path(top) / "tree"
        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            data, run = archive.read(content)
            (tree / path).write_bytes(data)
            if run:
                (tree / path).chmod(0o755)
        when = f"{source.epoch()} +0000"
        env = {
            "GIT_INDEX_FILE": f"{top}/index",
            "GIT_WORK_TREE": str(tree),
            **dict(_identity("AUTHOR", when)),
            **dict(_identity("COMMITTER", when)),
        }
        parent = _git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False)
        git_dir = _git("rev-parse", "--absolute-git-dir")
        within = ["git", "--git-dir", git_dir]
        # Nothing is left out, whatever a .gitignore says.
        run_command([*within, "add", "--all", "--force", "."], env=env, cwd=tree)
        written = run_command([*within, "write-tree"], env=env).output.strip()
        if parent and _git("rev-parse", f"{parent}^{{tree}}") == written:
            return ""
        parents = ["-p", parent] if parent else []
        argv = [*within, "commit-tree", written, *parents, "-m", message]
        made = run_command(argv, env=env).output.strip()
    _git("update-ref", f"refs/heads/{branch}", made)
    return made[:12]


def _identity(kind: str, when: str) -> Iterator[tuple[str, str]]:
    project = metadata.stated()
    yield f"GIT_{kind}_NAME", WHO
    yield f"GIT_{kind}_EMAIL", project.maintainer.partition("<")[2].rstrip(">")
    yield f"GIT_{kind}_DATE", when


def _git(*arguments: str, check: bool = True) -> str:
    return run_command(["git", "-C", ROOT, *arguments], check=check).output.strip()
