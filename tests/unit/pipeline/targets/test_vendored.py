# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that packages take along: which files; the stand-in for python-zstandard does what it should."""

from __future__ import annotations

import importlib.util
import re

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.targets import distros, vendored
from panicast_build.targets.distros import RpmDistro


def load_stand_in():
    spec = importlib.util.spec_from_file_location("stand_in", vendored.OWN / "zstandard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stand_in = load_stand_in()


@given(st.binary(max_size=4096), st.integers(1, 19))
def test_frames_are_those_of_zstandard(data: bytes, level: int) -> None:
    ours = stand_in.ZstdCompressor(level=level).compress(data)
    assert zstandard.ZstdDecompressor().decompress(ours) == data
    theirs = zstandard.ZstdCompressor(level=level).compress(data)
    assert stand_in.frame_content_size(theirs) == zstandard.frame_content_size(ours) == len(data)
    assert stand_in.ZstdDecompressor().decompress(theirs, max_output_size=max(len(data), 1)) == data


@pytest.mark.parametrize("data", [b"", b"no frame", zstandard.compress(b"x" * 100)])
def test_what_does_not_fit_is_refused(data: bytes) -> None:
    if data:
        with pytest.raises(stand_in.ZstdError):
            stand_in.ZstdDecompressor().decompress(data, max_output_size=10)


def test_what_is_no_frame_has_no_size() -> None:
    with pytest.raises(stand_in.ZstdError):
        stand_in.frame_content_size(b"no frame")


def test_modules_come_with_their_licence() -> None:
    found = vendored.files(["nats", "sdnotify", "tomli", "zstandard"])
    assert {"nats/js/client.py", "sdnotify/__init__.py", "tomli/__init__.py", "zstandard.py"} <= set(found)
    assert {name.partition("/")[0] for name in found if "LICENSE" in name} == {"nats", "sdnotify", "tomli"}
    assert all(path.is_file() for path in found.values())


def test_compiled_modules_are_refused() -> None:
    with pytest.raises(UserError, match=r"no markupsafe/_speedups\.py"):
        vendored.files(["markupsafe"])


def test_every_dependency_of_the_receiver_comes_from_somewhere() -> None:
    """A new one in receiver/pyproject.toml needs a word in distros.toml."""
    text = (ROOT / "receiver/pyproject.toml").read_text()
    (block,) = re.findall(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    named = re.findall(r'"([a-z0-9_-]+)([^"]*)"', block)
    for distro in distros.of_family(RpmDistro).values():
        known = " ".join([*distro.python_requires, *distro.vendored])
        for module, marker in named:
            # The Python of these is new enough to have it built in.
            if "python_version" in marker and "3.11" in known:
                continue
            assert module in known, (distro.name, module)
