# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv kernel --check: tries every patch on the distros' newest kernel sources, or on trees of the
user's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

import docker
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from panicast_build.core import files, progress
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import LOGS
from panicast_build.engine import engine, images
from panicast_build.engine.container import Container
from panicast_build.kernel import folder, series
from panicast_build.kernel.folder import Tree
from panicast_build.kernel.source import FOLDER, URI
from panicast_build.targets import kernels
from panicast_build.targets.kernels import Kernel

MORE = Path(__file__).with_name("sources.toml")
LOG = LOGS / "kernel-check.log"
TREE = "/source"
PACKED = "needed.tar.gz"
# Whose patch and perl try the patches on trees.
BASE = "6.1"
# Of a source only what the patches touch, and what checkpatch takes for a kernel's tree.
LEFT_OUT = ("Documentation", "arch", "drivers", "fs", "net", "sound", "tools")
# What checkpatch may not object to, and why.
IGNORED = {
    "MISSING_SIGN_OFF": "the patches are a distro's, which have DEP-3 headers, and were not sent to anybody",
}


# How patch begins to speak of a file, and what it says of what does not fit into it.
FILE = "checking file "
REFUSED = re.compile(r"FAILED at|previously applied|No such file")


class Unreachable(Exception):
    """The source of a kernel is not available; the message says why."""


@dataclass(frozen=True)
class PatchResult:
    """The result for a kernel's source: its package's version, and what patch and checkpatch said
    against the patch ("": nothing)."""

    version: str
    patch: str
    fuzz: str
    style: str

    @property
    def good(self) -> bool:
        """Tells whether neither reported anything."""
        return not self.fuzz and not self.style


def sources() -> list[Kernel]:
    """Returns the kernels, oldest first: those that are crashed and have a source package, and
    more."""
    stock = [kernel for kernel in kernels.load().values() if kernel.name == kernel.series]
    return sorted([*stock, *kernels.load(MORE).values()], key=lambda kernel: _numbers(kernel.series))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _tools(client: docker.DockerClient, kernel: Kernel) -> str:
    """Returns the image with the tools that try patches, and with a kernel's archive."""
    arguments = {"SUITE": kernel.suite, "ARCHIVE": kernel.archive}
    return images.build(client, kernel, "source-deb", buildargs=arguments)


@contextmanager
def source(client: docker.DockerClient, log: TextIO, kernel: Kernel) -> Iterator[Unpacked]:
    """Yields the newest source package of a kernel, unpacked. Raises Unreachable if there is none."""
    try:
        tag = _tools(client, kernel)
    except (BuildError, UserError) as error:
        raise Unreachable(f"{kernel.title}: {error}") from error
    with Container(client, tag, network="host") as box:
        yield Unpacked(box, _fetch(box, kernel, log), log)


@contextmanager
def folder_source(client: docker.DockerClient, log: TextIO, tree: Tree) -> Iterator[Unpacked]:
    """Yields a copy of a tree of the user's."""
    with Container(client, _tools(client, kernels.load()[BASE]), mounts={tree.folder: f"{TREE}:ro"}) as box:
        yield Unpacked(box, tree.release, log)


@dataclass(frozen=True)
class Unpacked:
    """A kernel's source in a container; version is its package's."""

    box: Container
    version: str
    log: TextIO

    def try_patch(self, patch: Path) -> PatchResult:
        """Returns what patch and the source's own checkpatch say of a patch. Does not change the
        source."""
        self.box.write({patch.name: patch}, "/tmp")
        inside = f"/tmp/{patch.name}"
        apply = [*series.APPLY, inside, "--dry-run"]
        applied = self.box.run(apply, log=self.log, cwd=TREE, check=False)
        ignored = f"--ignore={','.join(IGNORED)}"
        checkpatch = ["perl", "scripts/checkpatch.pl", "--strict", "--terse", ignored, inside]
        style = self.box.run(checkpatch, log=self.log, cwd=TREE, check=False)
        return PatchResult(
            self.version,
            patch.name,
            applied.output if applied.code else "",
            style.output if style.code else "",
        )


def _fetch(box: Container, kernel: Kernel, log: TextIO) -> str:
    """Unpacks what is needed of the newest source package of a kernel into TREE and returns its
    version. The cache keeps it until there is a newer one."""
    try:
        box.run(["apt-get", "update"], log=log)
        # Ubuntu's has the whole number in its name: linux-source-5.15.0.
        known = box.run(["apt-cache", "pkgnames", f"linux-source-{kernel.series}"]).output.split()
        wanted = re.compile(rf"linux-source-{re.escape(kernel.series)}(\.0)?")
        names = [name for name in known if wanted.fullmatch(name)]
        if not names:
            raise Unreachable(f"{kernel.title} has no package linux-source-{kernel.series} (any more)")
        listed = box.run(["apt-get", "download", "--print-uris", names[0]], log=log).output
        (package,) = URI.findall(listed)
        kept = FOLDER / f"needed-{kernel.name}-{images.digest([package, LEFT_OUT])}"
        box.run(["mkdir", TREE, "/package"])
        if not kept.exists():
            box.run(["apt-get", "download", names[0]], log=log, cwd="/package")
    except BuildError as error:
        raise Unreachable(f"the package archive of {kernel.title} does not answer: {error}") from error
    files.cached(kept, partial(_needed, box, log))
    box.put(kept / PACKED, "/tmp")
    box.run(["tar", "--extract", f"--file=/tmp/{PACKED}", f"--directory={TREE}"], log=log)
    return str(package.split("_")[1])


def _needed(box: Container, log: TextIO, into: Path) -> None:
    """Packs what is needed of the source package in a container into a folder."""
    (package,) = box.run(["find", "/package", "-name", "*.deb"]).output.split()
    box.run(["dpkg-deb", "--extract", package, "/package"], log=log)
    (tarball,) = box.run(["find", "/package", "-type", "f", "-name", "*.tar.*"]).output.split()
    box.run(["mkdir", "/needed"])
    without = [f"--exclude=*/{folder}/*" for folder in LEFT_OUT]
    unpack = ["tar", "--extract", f"--file={tarball}", "--directory=/needed", "--strip-components=1"]
    box.run([*unpack, "--anchored", "--no-wildcards-match-slash", *without], log=log)
    box.run(["tar", "--create", "--gzip", f"--file=/tmp/{PACKED}", "--directory=/needed", "."], log=log)
    box.get(f"/tmp/{PACKED}", into)


class Trial(NamedTuple):
    """A source to try its era's patch on: a name, the kernel's version, and how to get it."""

    name: str
    version: str
    had: Callable[[docker.DockerClient, TextIO], AbstractContextManager[Unpacked]]


def _trials(names: str) -> list[Trial]:
    """Returns the trees in the folders of a comma list; for "" the distros' sources."""
    if names:
        trees = [folder.look(name.strip()) for name in names.split(",") if name.strip()]
        return [Trial(tree.title, tree.version, partial(folder_source, tree=tree)) for tree in trees]
    return [Trial(each.name, each.series, partial(source, kernel=each)) for each in sources()]


def run(trees: str = "") -> None:
    """Shows how every patch fares on every available source, or on trees, a comma list of folders.
    Raises BuildError if a patch does not apply as it is or violates the kernel's style, or if none
    could be tried."""
    trials = _trials(trees)
    client = engine.connect()
    LOGS.mkdir(parents=True, exist_ok=True)
    headings = ("kernel", "source", "patch", "without fuzz", "checkpatch")
    table = Table(*(Column(heading, overflow="fold") for heading in headings), box=SIMPLE)
    results = []
    reasons = {}
    with LOG.open("w") as log:
        for trial in trials:
            name = "none"
            try:
                patch = series.for_version(trial.version).patch
                name = patch.name
                with (
                    progress.step(f"trying the patch on the source of {trial.name}", log=LOG),
                    trial.had(client, log) as found,
                ):
                    result = found.try_patch(patch)
            except (Unreachable, UserError) as reason:
                reasons[trial.name] = "; ".join(filter(None, (str(reason), getattr(reason, "hint", ""))))
                table.add_row(trial.name, "not checked", name)
                continue
            results.append(result)
            table.add_row(
                trial.name, result.version, result.patch, _verdict(result.fuzz), _verdict(result.style)
            )
    Console().print(table)
    for name, why in reasons.items():
        progress.say(f"{name} was not checked: {why}")
    for result in results:
        for said in refusals(result.fuzz):
            progress.say(f"{result.patch} on {result.version}: {said}")
    if not results:
        raise BuildError("no patch could be tried", LOG)
    if bad := sum(not result.good for result in results):
        raise BuildError(f"{bad} of {len(results)} patches do not apply cleanly", LOG)


def refusals(said: str) -> list[str]:
    """Returns the lines of patch's output that tell what does not fit, each behind its file."""
    file, found = "", []
    for line in said.splitlines():
        if line.startswith(FILE):
            file = line.removeprefix(FILE)
        elif REFUSED.search(line):
            found.append(f"{file}: {line}" if file else line)
    return found


def _verdict(objections: str) -> str:
    return "no" if objections else "yes"
