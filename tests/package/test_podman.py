# SPDX-License-Identifier: GPL-2.0-or-later
"""An ordinary user builds packages with rootless Podman, set up as docs/containers.md says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from panicast_build.build import source
from panicast_build.core import tools
from panicast_build.core.paths import ROOT, dist_dir
from panicast_build.core.run import Result, run, spawn
from panicast_build.engine.engine import PODMAN
from panicast_build.targets.distros import Distro, get

from ..waiting import wait_until

DISTRO = "debian-12"
# Ours, and not that of a run that was killed.
NAME = f"panicast-{os.getpid()}"
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# What of this process's environment is of the one who runs it.
OWN = ("DOCKER_HOST", "PANICAST_", "PYTHON", "VIRTUAL_ENV", "XDG_")


@dataclass(frozen=True)
class User:
    """An ordinary user of this machine."""

    home: Path
    env: dict[str, str]

    def argv(self, *words: str) -> list[str]:
        """The command that runs a command as this user."""
        return ["runuser", "-u", NAME, "--", "env", "-i", *(f"{k}={v}" for k, v in self.env.items()), *words]

    def run(self, *words: str, check: bool = True) -> Result:
        return run(self.argv(*words), cwd=self.home, check=check)


@pytest.fixture
def user() -> Iterator[User]:
    """One who is made for this, with numbers for the users of containers, and is gone in the end."""
    # What an ordinary user cannot install.
    tools.need("podman", "newuidmap", "runc", "mmdebstrap")
    run(["useradd", "--create-home", NAME])
    try:
        home = Path("~" + NAME).expanduser()
        env = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        runtime = home / "run"
        env |= {"HOME": str(home), "PATH": PATH, "XDG_RUNTIME_DIR": str(runtime)}
        env |= {"SOURCE_DATE_EPOCH": str(source.epoch())}
        user = User(home, env)
        user.run("mkdir", "--mode=700", str(runtime))
        yield user
    finally:
        run(["pkill", "--uid", NAME], check=False)
        wait_until(lambda: run(["pgrep", "--uid", NAME], check=False).code, f"{NAME} runs nothing")
        run(["userdel", "--remove", NAME])


@pytest.fixture
def engine(user: User) -> Iterator[User]:
    """The same user, whose Podman answers where the pipeline looks for it."""
    (settings,) = re.findall(r"<< END\n(.+?\n)END\n", (ROOT / "docs/containers.md").read_text(), re.DOTALL)
    user.run("mkdir", "--parents", f"{user.home}/.config/containers")
    run(user.argv("tee", f"{user.home}/.config/containers/containers.conf"), input=settings)
    with (user.home / "podman.log").open("wb") as log:
        spawn(user.argv("podman", "system", "service", "--time=0"), log=log)
    socket = Path(user.env["XDG_RUNTIME_DIR"]) / PODMAN
    wait_until(socket.exists, "Podman's socket is there")
    yield user


@pytest.mark.nightly
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes an ordinary user")
def test_an_ordinary_user_builds_the_same_packages(
    engine: User, copy_tree: Callable[..., None], packaged: Callable[[Distro], Path], tmp_path: Path
) -> None:
    packaged(get(DISTRO))
    copy_tree(tmp_path / "clone")
    clone = engine.home / "clone"
    run(["cp", "-r", tmp_path / "clone", clone])
    run(["chown", "-R", f"{NAME}:", clone])
    built = engine.run("sh", "-c", f"cd clone && ./inv package --distro {DISTRO}", check=False)
    assert built.code == 0, built.output
    debs = sorted((clone / "dist" / DISTRO).glob("*.deb"))
    assert debs and [deb.name for deb in debs] == sorted(path.name for path in dist_dir(DISTRO).glob("*.deb"))
    for deb in debs:
        assert deb.read_bytes() == (dist_dir(DISTRO) / deb.name).read_bytes(), deb.name
