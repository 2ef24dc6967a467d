# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away machine whose apt knows only the packages that were built."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import docker
import pytest

from panicast_build.build import source, verified
from panicast_build.core.paths import ROOT
from panicast_build.core.run import Result, run
from panicast_build.engine.container import Container
from panicast_build.targets import metadata
from panicast_build.targets.distros import DebDistro, Distro

from ..built import bring, keep

VERSION, NEWER = metadata.load().version, "0.99.0"
CUT_OFF = Path(__file__).with_name("cut_off.py")
TREE = f"/var/lib/dkms/panicast/{VERSION}"
# What dkms leaves that is cut off between two of its steps, in moments too short to be met: what a shell
# makes of a tree in which nothing is built, on a machine of one kernel. Likewise for a link of weak-modules.
HALF_MADE = {
    "not yet linked to its sources": f"rm {TREE}/source",
    "nothing in it": f"rm -r {TREE}/*",
    "sources gone": f"ln -sfn nowhere {TREE}/source",
    "another version": "mkdir -p /var/lib/dkms/panicast/0.0.9/build",
    "nothing built yet": f"mkdir -p {TREE}/$(ls /lib/modules)/x86_64",
    "nothing kept yet": f"mkdir -p {TREE}/$(ls /lib/modules)/x86_64/log",
    "a module not known of": "install -D /dev/null"
    f" /lib/modules/$(ls /lib/modules)/updates/dkms/panicast_seal.ko; rm -r {TREE}",
    "a link to the module of a kernel that has gone": "cd /lib/modules/* && mkdir weak-updates &&"
    " ln -s /lib/modules/0/extra/panicast.ko weak-updates",
}
# What any use of apt and depmod changes, and what is dkms' own to keep (its signing key).
NOT_OURS = (
    *("/proc", "/sys", "/dev", "/tmp", "/run", "/repo", "/ccache", "/var/log", "/var/cache"),
    "/var/lib/apt",
)
NOT_OURS_NAMES = (
    *("/var/lib/dpkg/*", "/var/lib/dkms/mok.*", "/usr/lib/modules/*/modules.*"),
    # The passwd file's lock and backup.
    *("/etc/.pwd.lock", "/etc/*-"),
)


# The life between installation and removal: the version that is there after each step, apt's options.
LIFE = {
    "upgrade": (NEWER, ()),
    "reinstall": (NEWER, ("--reinstall",)),
    "downgrade": (VERSION, ("--allow-downgrades",)),
}


class Machine(Container):
    """A container with apt on packages of ours, whose hashes built has."""

    built: dict[str, str]
    apt_get = ("apt-get", "-y", "-o", "Dpkg::Options::=--force-confold", "--no-install-recommends")

    def apt(self, *arguments: str, check: bool = True) -> Result:
        """apt-get without questions."""
        return self.run([*self.apt_get, *arguments], check=check)

    def add(self, debs: Iterable[Path]) -> None:
        """Puts Debian packages into the repository that apt knows."""
        self.write({path.name: path for path in debs}, "/repo")
        index = self.run(["apt-ftparchive", "packages", "."], cwd="/repo").output
        self.write({"Packages": index.encode()}, "/repo")
        self.apt("update")

    def modules(self, name: str = "panicast*.ko*") -> list[str]:
        """The built modules in /lib/modules that have such a name."""
        return self.run(["find", "/lib/modules/", "-name", name]).output.split()

    def live(self, *packages: str) -> Iterator[tuple[str, str]]:
        """Takes installed packages, whose NEWER versions the repository has too, from step to step of LIFE;
        yields after each what was done and which version is there."""
        for step, (version, options) in LIFE.items():
            self.apt("install", *options, *(f"{package}={version}*" for package in packages))
            yield step, version

    def seen(self) -> dict[str, object]:
        """What a whole life on this machine is evidence of: see verified.add_life()."""
        tool = self.run(["apt-get", "--version"]).output.split("\n")[0]
        host = self.run(["sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"']).output.strip()
        return {"tools": [tool], "host": host, "steps": ["install", *LIFE, "remove", "purge"]}

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
        argv: list[str | Path] = [sys.executable, "-m", "invoke", "--search-root", root, *arguments]
        return run(argv, cwd=Path("/"), env=env, check=False)

    return inv


@pytest.fixture(scope="session")
def copy_tree() -> Callable[..., None]:
    """copy_tree(into, {path: (old, new)}): the tree as it is now, with these replacements in it, committed in
    a repository of its own, now or at a date."""

    def copy_tree(root: Path, edits: dict[str, tuple[str, str]] | None = None, date: str = "") -> None:
        for name, path in source.files(".").items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / name)
        for name, (old, new) in (edits or {}).items():
            text = (ROOT / name).read_text()
            assert old in text, (name, old)
            (root / name).write_text(text.replace(old, new, 1))
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        env = {"GIT_COMMITTER_DATE": date} if date else {}
        for argv in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "copy"]):
            run(["git", "-C", root, *argv], env=env)

    return copy_tree


# Packages of a tree that was committed then are the same bytes in each run.
ONE_TIME = "2026-01-01T00:00:00Z"


def build_in(inv: Inv, root: Path, target: str, *options: str) -> Path:
    """Builds a target's packages in a copy of the tree, unless an earlier run has built the same; where they
    are."""
    name, folder = f"{root.name.rstrip('0123456789')}-{target}", root / "dist" / target
    bring(name, folder)
    built = inv(root, "package", "--distro", target, "--rpm-host", "debian", *options)
    assert built.code == 0, built.output
    keep(name, folder)
    return folder


@pytest.fixture(scope="session")
def newer(
    tmp_path_factory: pytest.TempPathFactory, copy_tree: Callable[..., None], inv: Inv
) -> Callable[[str], Path]:
    """newer(name of a target): the folder of its packages that a copy of the tree made, which calls itself
    NEWER."""
    root = tmp_path_factory.mktemp("newer")
    stated = ("packaging/metadata.toml", "pyproject.toml", "receiver/pyproject.toml", "kmod/version.h")
    copy_tree(root, {name: (f'"{VERSION}"', f'"{NEWER}"') for name in stated}, date=ONE_TIME)
    return cache(lambda target: build_in(inv, root, target))


@pytest.fixture(scope="session")
def cut_off() -> Callable[[Container, Sequence[str], Sequence[str]], None]:
    """cut_off(machine, point, argv): argv runs on a machine until it is killed at a point (options of
    cut_off.py) with all that it started; a point that is never reached fails the test."""

    def cut_off(box: Container, point: Sequence[str], argv: Sequence[str]) -> None:
        box.write({CUT_OFF.name: CUT_OFF}, "/tmp")
        done = box.run(["python3", f"/tmp/{CUT_OFF.name}", *point, *argv], check=False)
        assert done.code == 0, f"{' '.join(point)} was not reached: {done.output}"

    return cut_off


@pytest.fixture(scope="session")
def half_made() -> dict[str, str]:
    """The commands for a shell that leave each of HALF_MADE."""
    return HALF_MADE


Boot = Callable[[DebDistro], AbstractContextManager[Machine]]


@pytest.fixture(scope="session")
def boot(
    client: docker.DockerClient,
    test_image: Callable[[DebDistro], str],
    packaged: Callable[[Distro], Path],
    compiled: dict[str, Any],
) -> Boot:
    """boot(distro): a machine of the distro with its kernel's headers, which can install what was built."""

    @contextmanager
    def boot(distro: DebDistro) -> Iterator[Machine]:
        debs = packaged(distro).glob("*.deb")
        with Machine(client, test_image(distro), **compiled) as box:
            box.built = verified.hashes(distro.name)
            box.run(["mkdir", "/repo"])
            box.write({"sources.list": b"deb [trusted=yes] file:/repo ./\n"}, "/etc/apt")
            box.add(debs)
            yield box

    return boot


@pytest.fixture
def machine(boot: Boot, distro: DebDistro) -> Iterator[Machine]:
    """One that is the test's own."""
    with boot(distro) as box:
        yield box
