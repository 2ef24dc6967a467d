# SPDX-License-Identifier: GPL-2.0-or-later
"""What kernel builds of every package family share: the user's options, and the container."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

import docker

from panicast_build.build import signing
from panicast_build.core import progress
from panicast_build.core.errors import BuildError
from panicast_build.engine.container import Container
from panicast_build.kernel import ccache, debsource, estimate, series
from panicast_build.kernel.source import Source
from panicast_build.kernel.tree import BUILD, MODULE, USER, Prepared, Wanted, module_sources
from panicast_build.targets.metadata import Project

# What the kernel's own packaging says in every changelog.
ENTRY = "Custom built Linux kernel."
HERE = Path(__file__).parent
# What of the pipeline itself the bytes depend on.
BUILDER = ("build.py", "config.py", "deb.py", "debsource.py", "rpm.py", "source.py", "tree.py")


@dataclass(frozen=True)
class Options:
    """The user's options: source is a tarball's path ("": the distro's own source), jobs the number
    of compilers (0: one for each CPU), cached whether ccache is used, cache its folder."""

    wanted: Wanted
    source: str = ""
    jobs: int = 0
    cached: bool = True
    cache: Path = ccache.FOLDER


class Workshop(NamedTuple):
    """A container to build in, the number of compilers, and their environment variables."""

    box: Container
    jobs: int
    environment: dict[str, str]


def inputs(client: docker.DockerClient, image: str, source: Source, options: Options) -> dict[str, object]:
    """Returns everything that the bytes of a kernel's packages depend on."""
    hashes = {name: _hash(path) for name, path in module_sources().items()} if options.wanted.key else {}
    packaging = {path.name: _hash(path) for path in sorted(debsource.TEMPLATES.iterdir())}
    return {
        "packaging": packaging,
        "source": source.inputs(),
        "patches": {path.name: _hash(path) for path in sorted(series.FOLDER.glob("*.*"))},
        MODULE: hashes,
        "image": {"tag": image, "id": client.images.get(image).id},
        "builder": {name: _hash(HERE / name) for name in BUILDER},
        **options.wanted.inputs(),
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def workshop(
    client: docker.DockerClient, image: str, options: Options, log: TextIO, online: bool = False
) -> Iterator[Workshop]:
    """Yields a container of image with room for the build. It has no network unless online, or
    unless ccache uses a server; if modules are signed in it, it never has one. Raises UserError if
    there is no room."""
    server = ccache.remote() if options.cached else ""
    if options.wanted.key:
        if server:
            progress.say(
                f"modules are signed in a container without a network: {ccache.SETTING} is not asked"
            )
        server, online = "", False
    if options.cached:
        options.cache.mkdir(parents=True, exist_ok=True)
    mounts = {options.cache: ccache.THERE} if options.cached else {}
    memory = {ccache.MEMORY: ccache.MEMORY_OPTIONS} if options.cached else {}
    memory |= signing.TMPFS if options.wanted.key else {}
    network = "host" if online or server else "none"
    with Container(client, image, network=network, mounts=mounts, tmpfs=memory) as box:
        jobs = options.jobs or int(box.run(["nproc"]).output)
        estimate.announce(box, "/", options.wanted.config, options.wanted.debug_info, jobs)
        environment = ccache.environment(box, server) if options.cached else {}
        box.run(["mkdir", "--mode=777", BUILD], log=log)
        yield Workshop(box, jobs, environment)
        if options.cached:
            box.run(["ccache", "--show-stats"], log=log, env=environment)


def entry(project: Project, version: str, options: Options) -> str:
    """Returns the text of the packages' changelogs for a kernel of this version."""
    title = options.wanted.config.title
    return f"Linux {version} with kernel_log_buffer() ({project.name} {project.version}); {title}."


def reword(box: Container, path: str, words: Mapping[str, str], log: Path) -> None:
    """Replaces words in a kernel script that writes packaging. Raises BuildError if it lacks them."""
    script = box.read(path).decode()
    for said, instead in words.items():
        if said not in script:
            raise BuildError(f"{Path(path).name} of this kernel does not say {said!r}", log)
        script = script.replace(said, instead)
    box.write({Path(path).name: script.encode()}, str(Path(path).parent))
    box.run(["chown", USER, path])


def reproducible(project: Project, prepared: Prepared) -> dict[str, str]:
    """Returns the variables that make the same source give the same kernel, whoever builds it and
    when."""
    return {
        "KBUILD_BUILD_USER": project.name,
        "KBUILD_BUILD_HOST": project.name,
        "KBUILD_BUILD_TIMESTAMP": f"@{prepared.epoch}",
        "SOURCE_DATE_EPOCH": str(prepared.epoch),
        # Nobody's home but the build's own: the user may have none in the container.
        "HOME": BUILD,
    }
