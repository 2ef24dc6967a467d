# SPDX-License-Identifier: GPL-2.0-or-later
"""What --locked asks apt for, and what it says when the archive has it no more."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from panicast_build.build import pins
from panicast_build.core.errors import UserError
from panicast_build.engine import images
from panicast_build.targets import distros


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An engine with one image, which has two packages."""
    monkeypatch.setattr(pins, "CACHE", tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.json").write_text(json.dumps({"gcc:amd64": "12", "make:amd64": "4"}))
    return SimpleNamespace(images=SimpleNamespace(get=lambda tag: SimpleNamespace(id="sha256:1")))


def test_just_these_packages_are_taken(client: SimpleNamespace) -> None:
    pins.check(client, "tag", {"gcc:amd64": "12", "make:amd64": "4"})
    with pytest.raises(UserError, match="gcc:amd64 11, not 12; perl:amd64 5, not none") as refused:
        pins.check(client, "tag", {"gcc:amd64": "11", "make:amd64": "4", "perl:amd64": "5"})
    assert "PANICAST_MIRROR" in refused.value.hint
    # One that came on top is no less another build.
    with pytest.raises(UserError, match="make:amd64 none, not 4"):
        pins.check(client, "tag", {"gcc:amd64": "12"})


def test_apt_is_told_of_each_package() -> None:
    said = pins.preferences({"gcc:amd64": "12", "make:amd64": "4"}).decode()
    assert said.count("Pin-Priority: 1001\n") == 2
    assert "Package: gcc:amd64\nPin: version 12\n" in said


def test_what_was_never_built_cannot_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panicast_build.core.paths.DIST", tmp_path)
    with pytest.raises(UserError, match="does not say what kmod was built with"):
        pins.recorded("debian-12", "kmod")


LAYERS = {f"{images.BASES}:bookworm-1": "sha256:new", f"{images.REPLACED}:bookworm-1": "sha256:old"}


class Images:
    """The images of an engine: LAYERS, and what a registry has by a digest."""

    def get(self, tag: str) -> SimpleNamespace:
        return SimpleNamespace(attrs={"RootFS": {"Layers": [LAYERS[tag]]}})

    def list(self, repository: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(tags=[tag]) for tag in LAYERS if tag.startswith(repository)]


def test_the_recorded_base_is_built_on_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = SimpleNamespace(images=Images())
    newest, replaced = LAYERS
    monkeypatch.setattr(images, "base", lambda *_: newest)
    monkeypatch.setattr(
        images, "pull_old", lambda _, name: "pulled" if name == "debian@sha256:c0ffee" else ""
    )
    distro = distros.get("debian-12")

    def base(layer: str, *digests: str) -> str:
        return pins.base(engine, distro, pins.Pinned({}, layer, digests))

    assert (base("sha256:new"), base("sha256:old")) == (newest, replaced)
    assert base("sha256:other", "debian@sha256:c0ffee") == "pulled"
    # One that no registry ever had is not asked for.
    with pytest.raises(UserError, match="is not the one that was recorded, sha256:other"):
        base("sha256:other", f"{images.BASES}@sha256:other", "debian@sha256:beef")
