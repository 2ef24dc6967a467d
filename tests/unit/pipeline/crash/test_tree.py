# SPDX-License-Identifier: GPL-2.0-or-later
"""How a tree's kernel is built: what comes first, and what is left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.run import Result
from panicast_build.crash import tree
from panicast_build.kernel import ccache
from panicast_build.kernel.folder import Configured, Tree


class Box:
    """A container in which everything works but what has a word."""

    def __init__(self, breaks: str = "", config: str = tree.NEEDED.read_text()) -> None:
        self.breaks = breaks
        self.config = config
        self.asked: list[str] = []
        self.mounts: dict[Path, str] = {}
        self.committed = ""

    def __call__(self, client: object, image: str, *, mounts: dict[Path, str], tmpfs: object) -> Self:
        self.mounts = mounts
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def run(self, argv: Sequence[str], **options: Any) -> Result:
        self.asked.append(" ".join(argv))
        if self.breaks and self.breaks in argv:
            raise BuildError(f"{argv[0]} failed", Path("log"))
        return Result(0, "2\n")

    def write(self, files: object, dest: str) -> None:
        pass

    def read(self, path: str) -> bytes:
        return self.config.encode()

    def commit(self, tag: str) -> None:
        self.committed = tag

    def place(self, word: str) -> int:
        """Which of what was asked has the word first."""
        return next(place for place, line in enumerate(self.asked) if word in line.split())


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Box], None]:
    def run(box: Box) -> None:
        monkeypatch.setattr(tree, "Container", box)
        monkeypatch.setattr(tree, "LOGS", tmp_path)
        monkeypatch.setattr(ccache, "FOLDER", tmp_path / "ccache")
        asked = Configured(Tree(tmp_path, "6.9.1", "6.9.1-x", "Linux 6.9"), tmp_path / ".config")
        tree._build(None, asked, "parent", "panicast/crashed-tree:x")  # type: ignore[arg-type]

    return run


def test_the_module_is_built_before_the_kernel_with_warnings_as_errors(build: Callable[[Box], None]) -> None:
    box = Box()
    build(box)
    module = box.place(f"M={tree.MODULE}")
    assert {"W=1", "KCFLAGS=-Werror", "KERNELRELEASE=6.9.1-x"} < set(box.asked[module].split())
    assert box.place("modules_prepare") < module < box.place("bzImage") < box.place("depmod")
    assert box.committed == "panicast/crashed-tree:x"


def test_the_users_tree_cannot_be_written(build: Callable[[Box], None], tmp_path: Path) -> None:
    box = Box()
    build(box)
    assert box.mounts[tmp_path].endswith(":ro")


def test_what_cannot_be_crashed_is_told_before_anything_is_compiled(build: Callable[[Box], None]) -> None:
    box = Box(config=tree.NEEDED.read_text().replace("CONFIG_KPROBES=y\n", "# CONFIG_KPROBES is not set\n"))
    with pytest.raises(UserError, match=r"it cannot have CONFIG_KPROBES=y$") as said:
        build(box)
    assert "--config FILE" in said.value.hint
    assert not any(word in line.split() for line in box.asked for word in ("modules_prepare", "bzImage"))


@pytest.mark.parametrize("breaks", [f"M={tree.MODULE}", "bzImage", "depmod"])
def test_what_could_not_be_built_is_no_image(build: Callable[[Box], None], breaks: str) -> None:
    box = Box(breaks)
    with pytest.raises(BuildError):
        build(box)
    assert not box.committed
    assert breaks in box.asked[-1].split()


def test_a_kernel_that_the_module_does_not_know_yet_is_named_with_where_to_look(
    build: Callable[[Box], None],
) -> None:
    with pytest.raises(BuildError, match=r"does not compile for Linux 6\.9, 6\.9\.1-x; .*kmod/compat"):
        build(Box(f"M={tree.MODULE}"))
    with pytest.raises(BuildError, match=r"^make failed$"):
        build(Box("bzImage"))
