# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of an image for other machines: of no later time than the image, without the engine's own."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from panicast_build.engine import shipped

EPOCH = 1_700_000_000


def test_no_file_is_newer_than_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = io.BytesIO()
    with tarfile.open(fileobj=there, mode="w") as tar:
        for name, mtime in (("etc/hosts", 1), ("old", EPOCH - 5), ("new", EPOCH + 5)):
            entry = tarfile.TarInfo(name)
            entry.mtime = mtime
            tar.addfile(entry)
    monkeypatch.setattr(shipped, "_files", lambda *_: [there.getvalue()])
    client: Any = None
    shipped._write_layer(client, "image", EPOCH, tmp_path / "layer.tar.gz")
    with tarfile.open(tmp_path / "layer.tar.gz") as layer:
        assert {entry.name: entry.mtime for entry in layer} == {"old": EPOCH - 5, "new": EPOCH}
