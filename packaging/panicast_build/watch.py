# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv watch: builds the module for the newest kernels of the suites' archives, before users meet
them, the next packages with the module itself, and the next patched kernels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

import docker

from panicast_build.build import dist, signing, source
from panicast_build.core import paths, progress
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import LOGS
from panicast_build.engine import engine, images
from panicast_build.engine.container import Container
from panicast_build.kernel import config
from panicast_build.kernel import task as kernel_task
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import Wanted
from panicast_build.modules import task as modules_task
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro, Distro

TREE = "/kmod"
# Adds a suite that lies in the same archive as the one of the base image, which apt must know first.
ADD_SUITE = """
apt-get update
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' "Release: $1" \
    | sort -u | sed "s/ $1 / $2 /" > "/etc/apt/sources.list.d/$2.list"
"""
REFRESH = ["apt-get", "-o", "APT::Update::Error-Mode=any", "update"]
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends"]
BUILDERS = ("gcc", "libc6-dev", "make", "xz-utils")


def run(names: str = "", patched: str = "", modules: str = "") -> None:
    """Builds the module for the newest kernel of each suite of a comma list of distros ("": all of
    Debian's family), then of other lists ("": of none) the packages with the module itself, and the
    patched kernels.

    Raises BuildError with the compiler's output at the first that breaks, and UserError at the end
    if an archive did not answer.
    """
    known = distros.of_family(DebDistro)
    chosen = [known[d.name] for d in distros.select(names) if d.name in known] if names else known.values()
    client, silent = engine.connect(), []
    for distro, suite in _suites(chosen):
        try:
            built = _newest(client, distro, suite)
        except _Silent as problem:
            silent.append(f"{suite} ({problem})")
            continue
        progress.say(f"{suite}: the module is built for {', '.join(built)}")
    for target in distros.select(modules) if modules else ():
        modules_task.run(target.name)
    for target in distros.select(patched) if patched else ():
        _patched(target)
    if silent:
        raise UserError(f"not reached: {'; '.join(silent)}", "leave them out: --distro names the others")


def _patched(distro: Distro) -> None:
    """Builds the patched kernels of a distro again, if its archive has a newer source: those in dist/
    that may be published, or if there are none the distro's own configuration."""
    built = dist.read(paths.kernel_target(distro.name)).get("components", {})
    names = [name for name in built if config.get(name).published]
    for name in names or [config.DEFAULT]:
        kernel_task.run(distro.name, Options(Wanted(config.get(name), key=signing.load(""))))


class _Silent(Exception):
    """An archive does not answer."""


def _suites(chosen: Iterable[DebDistro]) -> Iterator[tuple[DebDistro, str]]:
    for distro in chosen:
        for suite in (distro.suite, *distro.newer):
            yield distro, suite


def _newest(client: docker.DockerClient, distro: DebDistro, suite: str) -> list[str]:
    """Builds the module for the newest kernel of a suite and returns the kernel's name."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"watch-{suite}.log"
    try:
        base = images.base(client, distro)
    except (BuildError, UserError) as error:
        raise _Silent("no base image") from error
    what = f"building the module for the newest kernel of {suite}"
    with progress.step(what, log=path), path.open("w") as log, Container(client, base, network="host") as box:
        other = suite != distro.suite
        if other:
            box.run(["sh", "-c", ADD_SUITE, "sh", distro.suite, suite], log=log)
        stale = ["-o", "Acquire::Check-Valid-Until=false"] if distro.rolling else []
        if box.run([*REFRESH, *stale], log=log, check=False).code:
            raise _Silent(f"see {path}")
        target = ["-t", suite] if other else []
        box.run([*INSTALL, *target, distro.kernel_headers, *BUILDERS], log=log)
        return compile_in(box, source.files("kmod"), log)


def compile_in(box: Container, sources: Mapping[str, Path | bytes], log: TextIO) -> list[str]:
    """Builds the module for every kernel whose headers are in box and returns their names. Raises
    BuildError if one breaks."""
    kernels = box.run(["sh", "-c", "ls -d /lib/modules/*/build"]).output.split()
    for build in kernels:
        box.run(["rm", "-rf", TREE], log=log)
        box.run(["mkdir", TREE], log=log)
        box.write(sources, TREE)
        box.run(["make", "-C", build, f"M={TREE}", "modules"], log=log)
    return [Path(build).parent.name for build in kernels]
