# SPDX-License-Identifier: GPL-2.0-or-later
"""The module's C: no warning from the compiler on any target's kernel, nor from three checkers."""

import re
from collections.abc import Callable
from typing import Any

import docker
import pytest

from panicast_build.build import source
from panicast_build.engine.container import Container
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

WARNING = re.compile(r"^.*\b(?:warning|error)\b.*$", re.MULTILINE | re.IGNORECASE)


def make(box: Container, *arguments: str) -> str:
    """Builds the module in box for the kernel whose headers it has; what make printed."""
    box.run(["mkdir", "/kmod"])
    box.write(source.files("kmod"), "/kmod")
    (kernel,) = box.run(["ls", "/lib/modules"]).output.split()
    return box.run(["make", "-C", f"/lib/modules/{kernel}/build", "M=/kmod", *arguments, "modules"]).output


def test_compiler(
    client: docker.DockerClient,
    test_image: Callable[[Distro], str],
    distro: Distro,
    compiled: dict[str, Any],
) -> None:
    """ccache repeats the warnings of what has not changed."""
    with Container(client, test_image(distro), **compiled) as box:
        assert not WARNING.findall(make(box, "W=1"))


def test_sparse(client: docker.DockerClient, lint_image: str, compiled: dict[str, Any]) -> None:
    """Compiled as test_compiler() does, which has filled ccache; sparse itself looks at each file."""
    with Container(client, lint_image, **compiled) as box:
        output = make(box, "W=1", "C=2")
    assert "CHECK   /kmod/main.c" in output
    assert not WARNING.findall(output)


def test_checkpatch(client: docker.DockerClient, lint_image: str) -> None:
    files = {
        **source.files("kmod"),
        **source.files("tests/smoke/guest_end"),
        # main.c is kmod's
        **{f"pc_crash/{name}": path for name, path in source.files("tests/smoke/pc_crash").items()},
    }
    checked = [f"/tmp/{name}" for name in files if name.endswith((".c", ".h"))]
    # lockdep knows which locks this CPU holds; a panic has to know whether any does.
    checkpatch = ["perl", "/opt/scripts/checkpatch.pl", "--no-tree", "--strict", "--terse"]
    checkpatch += ["--ignore", "USE_LOCKDEP", "-f"]
    with Container(client, lint_image) as box:
        box.write(files, "/tmp")
        result = box.run([*checkpatch, *checked], check=False)
    assert result.code == 0, result.output


def test_kernel_doc(client: docker.DockerClient, lint_image: str) -> None:
    # A kernel's own tree runs it with W=1; the headers of distributions lack it.
    files = {name: path for name, path in source.files("kmod").items() if name.endswith(".c")}
    with Container(client, lint_image) as box:
        box.write(files, "/tmp")
        result = box.run(["perl", "/opt/scripts/kernel-doc", "-none", *(f"/tmp/{name}" for name in files)])
    assert not WARNING.findall(result.output)


# The packages follow a newer policy than this lintian knows, for systems that boot by systemd. The project
# has no bug tracker yet, nor has anybody translated the one question, which is the purge's. A kernel's
# module is built by ./inv modules, not from what a watch file finds.
NOT_OURS = (
    "newer-standards-version",
    "package-supports-alternative-init-but-no-init.d-script",
    "debian-watch-file-is-missing",
    "upstream-metadata-missing-bug-tracking",
    "no-complete-debconf-translation",
    "postinst-does-not-load-confmodule",
    # The version of a package with a module has the kernel's behind the target's: more dots than an NMU's.
    "debian-revision-not-well-formed",
    "binary-nmu-debian-revision-in-source",
)


@pytest.mark.parametrize(
    ("made", "pattern", "sources"),
    [("packaged", "*", 2), ("prebuilt", "panicast-modules-[0-9]*-[0-9]*-amd64_*", 1)],
)
def test_lintian(
    made: str,
    pattern: str,
    sources: int,
    client: docker.DockerClient,
    lint_image: str,
    request: pytest.FixtureRequest,
) -> None:
    folder = request.getfixturevalue(made)(distros.load()["debian-12"])
    with Container(client, lint_image) as box:
        box.put(folder, "/tmp")
        # A run of last week may have left those for the kernel of that day.
        found = sorted(folder.glob(f"{pattern}.changes"), key=lambda path: path.stat().st_mtime)[-sources:]
        changes = [f"/tmp/{path.name}" for path in found]
        assert len(changes) == sources
        argv = ["lintian", "--allow-root", "--no-cfg", "--fail-on", "none"]
        # What it counts as failed includes what it was told to suppress.
        argv += ["--display-level", ">=pedantic", "--suppress-tags", ",".join(NOT_OURS), *changes]
        result = box.run(argv, check=False)
    assert (result.code, result.output) == (0, "")
