# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv clean and ./inv fetch --renew: what they say, what they remove, and what they leave."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest
from docker.errors import APIError

from panicast_build import clean
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.engine import images, unused


class Engine:
    """An engine's images by tag: (id, bottom layer)."""

    def __init__(self, found: dict[str, tuple[str, str]], busy: str = "") -> None:
        self.found = dict(found)
        self.busy = busy
        self.images = self

    def list(self, filters: dict[str, str]) -> list[Any]:
        pattern = filters["reference"].removesuffix("*")
        return [
            SimpleNamespace(
                id=number,
                tags=[tag],
                attrs={"Created": number, "RootFS": {"Layers": [layer]}},
            )
            for tag, (number, layer) in self.found.items()
            if tag.startswith(pattern)
        ]

    def remove(self, tag: str) -> None:
        if tag == self.busy:
            raise APIError("in use", response=cast(Any, SimpleNamespace(status_code=409)))
        del self.found[tag]

    def df(self) -> dict[str, int]:
        return {"LayersSize": 1024 * len(self.found)}


FOUND = {
    "panicast/base:trixie-1": ("1", "new"),
    "panicast/replaced:trixie-1": ("0", "old"),
    "panicast/build-deb:debian-13-1": ("2", "old"),
    "panicast/build-deb:debian-13-2": ("3", "new"),
    "somebody/else:1": ("4", "old"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clean, "CACHE", tmp_path)
    monkeypatch.setattr(images, "CACHE", tmp_path)
    for name in ("images/1.lock", "images/2.json", "images/trixie-1.tar", "logs/web/a.png", "foreign/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(5000))
    return tmp_path


def connect(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> docker.DockerClient:
    monkeypatch.setattr(clean.engine, "connect", lambda: engine)
    return cast(docker.DockerClient, engine)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_only_what_a_renewed_base_left_is_outdated(cache: Path) -> None:
    engine = Engine(FOUND)
    client = cast(docker.DockerClient, engine)
    assert unused.remove(client, unused.outdated(client)) == 2
    assert set(engine.found) == {
        "panicast/base:trixie-1",
        "panicast/build-deb:debian-13-2",
        "somebody/else:1",
    }
    assert "images/2.json" not in files(cache)
    assert "images/trixie-1.tar" in files(cache), "it is the new base's"


def test_what_a_container_uses_stays() -> None:
    busy = "panicast/build-deb:debian-13-1"
    engine = Engine(FOUND, busy)
    client = cast(docker.DockerClient, engine)
    assert unused.remove(client, unused.outdated(client)) == 1 and busy in engine.found


def test_without_yes_nothing_is_removed(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine, before = Engine(FOUND), files(cache)
    connect(engine, monkeypatch)
    clean.run(yes=False)
    said = "".join(capsys.readouterr())
    assert "engine" in said and "5 KiB" in said and "./inv clean --yes" in said
    assert files(cache) == before and engine.found == FOUND


def test_yes_leaves_locks_and_what_is_not_ours(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(FOUND)
    connect(engine, monkeypatch)
    clean.run(yes=True)
    assert files(cache) == {"images/1.lock", "foreign/x"} and set(engine.found) == {"somebody/else:1"}


def test_each_folder_of_the_cache_can_be_freed() -> None:
    """docker/ is the engine's own: it goes with its images. Locks stay."""
    sources = [
        path for folder in ("packaging/panicast_build", "tests") for path in (ROOT / folder).rglob("*.py")
    ]
    found = {name for path in sources for name in re.findall(r'CACHE / "([\w-]+)"', path.read_text())}
    assert found - {"docker"} == set(clean.FOLDERS)


def test_without_an_engine_the_rest_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> None:
        raise UserError("no container engine answers")

    monkeypatch.setattr(clean.engine, "connect", none)
    clean.run(yes=False)
    assert "the container images are not counted" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 bytes"), (2048, "2 KiB"), (11 * 2**30, "11.0 GiB"), (2**41, "2048.0 GiB")]
)
def test_sizes_are_said_as_people_do(size: int, said: str) -> None:
    assert clean.shown(size) == said
