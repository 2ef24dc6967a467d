# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel that is compiled to be crashed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from panicast_build.core.errors import BuildError
from panicast_build.crash import compiled
from panicast_build.engine import images
from panicast_build.kernel import ccache
from panicast_build.targets import kernels


class Box:
    """A container that notes what runs in it, and fails where it is told to."""

    ran: list[tuple[list[str], str]]
    fails = ""
    committed: list[str]

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Box:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def run(self, argv: list[str], *, cwd: str, **_: Any) -> None:
        if self.fails and self.fails in argv[-1]:
            raise BuildError("it does not compile", Path("log"))
        Box.ran.append((argv, cwd))

    def commit(self, tag: str) -> None:
        Box.committed.append(tag)


class Client:
    """An engine in which every image has the same content."""

    class images:
        @staticmethod
        def get(tag: str) -> Any:
            return type("Image", (), {"id": f"sha256:{tag}"})


@pytest.fixture
def debug(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> kernels.Kernel:
    Box.ran, Box.committed, Box.fails = [], [], ""
    monkeypatch.setattr(compiled, "Container", Box)
    monkeypatch.setattr(ccache, "environment", lambda box: {})
    monkeypatch.setattr(images, "exists", lambda client, tag: tag in Box.committed)
    for name in ("CACHE", "LOGS"):
        monkeypatch.setattr(compiled, name, tmp_path)
    monkeypatch.setattr(ccache, "FOLDER", tmp_path / "ccache")
    (tmp_path / "images").mkdir()
    return kernels.load()["6.12-debug"]


def test_it_is_compiled_once_where_its_source_is(debug: kernels.Kernel) -> None:
    client: Any = Client
    tag = compiled.image(client, debug, "configured")
    assert Box.committed == [tag]
    assert [cwd for _, cwd in Box.ran] == [debug.source] * len(compiled.STEPS)
    assert compiled.image(client, debug, "configured") == tag and Box.committed == [tag]
    assert compiled.image(client, debug, "configured otherwise") != tag


def test_what_does_not_compile_is_no_image(debug: kernels.Kernel) -> None:
    client: Any = Client
    Box.fails = "modules_install"
    with pytest.raises(BuildError):
        compiled.image(client, debug, "configured")
    assert not Box.committed
