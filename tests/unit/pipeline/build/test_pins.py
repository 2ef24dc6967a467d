# SPDX-License-Identifier: GPL-2.0-or-later
"""What --locked asks apt for, and what it says when the archive has it no more."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from panicast_build.build import pins
from panicast_build.core.errors import UserError


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
