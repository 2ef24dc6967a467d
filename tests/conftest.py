# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of more than one folder stand on: the container engine, the targets, their built packages."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import docker
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from panicast_build.build import dist, package
from panicast_build.core import paths
from panicast_build.core.paths import CACHE, ROOT, dist_dir, modules_target
from panicast_build.core.termination import terminable
from panicast_build.engine import engine, images
from panicast_build.modules import task as modules
from panicast_build.release.steps import SECRETS
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro, Distro

from .built import kept
from .nightly import Nightly, rows
from .progress import Progress

HERE = Path(__file__).parent
SMOKE = HERE / "smoke"
# A test that hangs ends alone, not the whole run: each has half an hour, as pyproject.toml says, and to build
# what it needs is part of that. These have less.
LIMITS_S = {HERE / "unit": 600, HERE / "fuzz": 600}


# A property is tried with the same values in every run, and takes the time that it takes: whoever changes
# something else must not be stopped by one that was never tried before. Nightly, others are tried:
# --hypothesis-profile=explore.
for name, same in (("usual", True), ("explore", False)):
    settings.register_profile(
        name, derandomize=same, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("usual")


# A run of several processes begins with what takes the longest. The many short files end it, so that no
# process waits long for another; linters say at once what is wrong.
ORDER = ("smoke", "lint", "package", "endurance", "servers", "web", "fuzz", "unit")


class Scheduling(LoadFileScheduling):
    """In a run of several processes one has all that is emulated, for that takes more than one CPU at times;
    and the tests of any other file stay together, which share what was made for them."""

    def _split_scope(self, nodeid: str) -> str:
        path = ROOT / super()._split_scope(nodeid)
        return SMOKE.name if SMOKE in path.parents else str(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the tests that are marked nightly, too")


def pytest_configure(config: pytest.Config) -> None:
    """A kill ends a run as Ctrl-C does, and takes its containers and guests with it, if it goes to the
    process group, as that of timeout(1) does: xdist does not pass it on to the run's other processes."""
    stack = ExitStack()
    stack.enter_context(terminable())
    config.add_cleanup(stack.close)
    config.pluginmanager.register(Nightly(config))
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config))
        hide_user(stack)


def hide_user(stack: ExitStack) -> None:
    """Gives the tests, and all that they start, an empty home until the stack ends: no keyring, no agent,
    and no settings of who runs them. The cache stays where it is."""
    home = stack.enter_context(TemporaryDirectory(prefix="panicast-home-"))
    os.environ.update({"HOME": home, "PANICAST_CACHE": str(CACHE)})
    for name in SECRETS:
        os.environ.pop(name, None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Crashes take the longest, and the other tests explain why they fail: they come last; where several
    processes share the tests, all come in ORDER."""
    for item in items:
        for folder, seconds in LIMITS_S.items():
            if folder in item.path.parents:
                item.add_marker(pytest.mark.timeout(seconds), append=False)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ORDER.index(item.path.relative_to(HERE).parts[0]))
    else:
        items.sort(key=lambda item: SMOKE in item.path.parents)


# Where ccache is in a test machine, and the compilers' names that are ccache on Debian.
COMPILED = "/ccache"
COMPILERS = "/usr/lib/ccache:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="session")
def compiled() -> dict[str, Any]:
    """The options of a Container in which the module is compiled once, not by each of a hundred tests. DKMS
    and all that is around the compiler is the real thing; CCACHE_DISABLE=1 makes the compiler so, too."""
    folder = CACHE / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
    env = {"PATH": COMPILERS, "CCACHE_DIR": COMPILED, "CCACHE_MAXSIZE": "500M"}
    return {"env": env, "mounts": {folder: COMPILED}}


@pytest.fixture(scope="session")
def client() -> docker.DockerClient:
    """The container engine."""
    return engine.connect()


# Those that stand for all in every run; others by the names in this variable.
TESTED = [
    distro.name for distro in distros.select(os.environ.get("PANICAST_TEST_DISTROS", "debian-12,debian-13"))
]
# Marks tests that run on the first of them, and at night on each: what they look at is alike on all.
ON_THE_FIRST = pytest.mark.parametrize(
    "distro", rows({name: (name,) for name in TESTED}, TESTED[:1]), indirect=True
)


@pytest.fixture(scope="session", params=TESTED)
def distro(request: pytest.FixtureRequest) -> DebDistro:
    """Each tested target that takes Debian packages in turn."""
    return distros.of_family(DebDistro)[request.param]


@pytest.fixture(scope="session")
def first_distro() -> DebDistro:
    """The first of them, for what takes too long to be done on each."""
    return distros.of_family(DebDistro)[TESTED[0]]


@pytest.fixture(scope="session")
def packaged() -> Callable[[Distro], Path]:
    """Called with a target: the folder of its packages, built now if need be."""

    @cache
    def packaged(distro: Distro) -> Path:
        with kept(distro.name):
            package.run(distro.name)
        return dist_dir(distro.name)

    return packaged


# The kernels for which packages with the module itself are tested.
FLAVOUR = "amd64"


@pytest.fixture(scope="session")
def prebuilt() -> Callable[..., Path]:
    """Called with a target and a kernel (the newest of its FLAVOUR): the folder of the packages with the
    module itself, built now if need be. It is not dist/, where signed ones may wait to be published, and
    those for another kernel lie elsewhere."""

    @cache
    def prebuilt(distro: Distro, kernel: str = FLAVOUR) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            for module in (paths, dist):
                patch.setattr(module, "DIST", CACHE / "tested" / kernel)
            modules.run(distro.name, kernel)
            return dist_dir(modules_target(distro.name))

    return prebuilt


@pytest.fixture(scope="session")
def test_image(client: docker.DockerClient) -> Callable[[DebDistro], str]:
    """Called with a target: the image of a machine with its kernel's headers and dkms."""

    def test_image(distro: DebDistro) -> str:
        arguments = {"KERNEL_HEADERS": distro.kernel_headers, "OTHER_KERNEL": " ".join(distro.other_kernel)}
        return images.build(client, distro, "test-deb", buildargs=arguments)

    return test_image
