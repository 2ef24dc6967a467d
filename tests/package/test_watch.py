# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv watch builds the module for the kernels whose headers are there, and shows the compiler's error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from panicast_build import watch
from panicast_build.build import source
from panicast_build.core.errors import BuildError, UserError, tail
from panicast_build.engine import engine
from panicast_build.engine.container import Container
from panicast_build.targets import distros
from panicast_build.targets.distros import DebDistro


@pytest.fixture
def box(client: docker.DockerClient, test_image: Callable[[DebDistro], str]) -> Iterator[Container]:
    distro = distros.of_family(DebDistro)["debian-12"]
    with Container(client, test_image(distro)) as box:
        yield box


def test_builds_and_breaks(box: Container, tmp_path: Path) -> None:
    sources: dict[str, Path | bytes] = dict(source.files("kmod"))
    with (tmp_path / "log").open("w") as log:
        (kernel,) = watch.compile_in(box, sources, log)
        assert kernel in box.run(["ls", "/lib/modules"]).output
        main = source.files("kmod")["main.c"].read_bytes()
        sources["main.c"] = main + b"\nstatic void *planted = kernel_function_of_tomorrow;\n"
        with pytest.raises(BuildError) as broken:
            watch.compile_in(box, sources, log)
    assert "kernel_function_of_tomorrow" in "\n".join(tail(broken.value.log))


def test_an_archive_that_does_not_answer_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> list[str]:
        raise watch._Silent("no base image")

    monkeypatch.setattr(watch, "_newest", silent)
    monkeypatch.setattr(engine, "connect", lambda: None)
    with pytest.raises(UserError, match="not reached: noble"):
        watch.run("ubuntu-24.04")
