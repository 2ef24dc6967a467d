# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away machine whose apt knows only the packages that were built."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from panicast_build import evidence, source
from panicast_build.container import Container
from panicast_build.distros import DebDistro
from panicast_build.paths import ROOT
from panicast_build.run import Result, run

# What any use of apt and depmod changes, and what is dkms' own to keep (its signing key).
NOT_OURS = ("/proc", "/sys", "/dev", "/tmp", "/run", "/repo", "/var/log", "/var/cache", "/var/lib/apt")
NOT_OURS_NAMES = (
    *("/var/lib/dpkg/*", "/var/lib/dkms/mok.*", "/usr/lib/modules/*/modules.*"),
    # The passwd file's lock and backup.
    *("/etc/.pwd.lock", "/etc/*-"),
)


class Machine(Container):
    """A container with apt on packages of ours, whose hashes built has."""

    built: dict[str, str]

    def apt(self, *arguments: str, check: bool = True) -> Result:
        """apt-get without questions."""
        keep = "Dpkg::Options::=--force-confold"
        return self.run(["apt-get", "-y", "-o", keep, "--no-install-recommends", *arguments], check=check)

    def seen(self) -> dict[str, object]:
        """What a life on this machine is evidence of: see evidence.add_life()."""
        tool = self.run(["apt-get", "--version"]).output.split("\n")[0]
        host = self.run(["sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"']).output.strip()
        return {"tools": [tool], "host": host, "steps": ["install", "reinstall", "remove", "purge"]}

    def files(self) -> set[str]:
        """Every path of the machine that packages of ours could have left."""
        pruned = [word for top in NOT_OURS for word in ("-path", top, "-o")][:-1]
        ignored = [word for name in NOT_OURS_NAMES for word in ("!", "-path", name)]
        listed = self.run(["find", "/", "(", *pruned, ")", "-prune", "-o", *ignored, "-print"]).output
        return set(listed.splitlines())


Inv = Callable[..., Result]


@pytest.fixture(scope="session")
def inv() -> Inv:
    """inv(tree, *arguments): invoke in a copy of the tree, with that copy's pipeline."""

    def inv(root: Path, *arguments: str) -> Result:
        env = {"PYTHONPATH": str(root / "packaging")}
        argv = [sys.executable, "-m", "invoke", "--search-root", root, *arguments]
        return run(argv, cwd=Path("/"), env=env, check=False)

    return inv


@pytest.fixture(scope="session")
def copy_tree() -> Callable[..., None]:
    """copy_tree(into, {path: (old, new)}): the tree as it is now, with these replacements in it, committed in
    a repository of its own."""

    def copy_tree(root: Path, edits: dict[str, tuple[str, str]] | None = None) -> None:
        for name, path in source.files(".").items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / name)
        for name, (old, new) in (edits or {}).items():
            text = (ROOT / name).read_text()
            assert old in text, (name, old)
            (root / name).write_text(text.replace(old, new, 1))
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        for argv in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "copy"]):
            run(["git", "-C", root, *argv])

    return copy_tree


@pytest.fixture
def machine(
    client: docker.DockerClient,
    test_image: Callable[[DebDistro], str],
    packaged: Callable[[DebDistro], Path],
    distro: DebDistro,
) -> Iterator[Machine]:
    """A machine of the distro with its kernel's headers, which can apt install what was built."""
    debs = {path.name: path for path in packaged(distro).glob("*.deb")}
    with Machine(client, test_image(distro)) as box:
        box.built = evidence.hashes(distro.name)
        box.run(["mkdir", "/repo"])
        box.write(debs, "/repo")
        index = box.run(["apt-ftparchive", "packages", "."], cwd="/repo").output
        box.write({"Packages": index.encode()}, "/repo")
        box.write({"sources.list": b"deb [trusted=yes] file:/repo ./\n"}, "/etc/apt")
        box.apt("update")
        yield box
