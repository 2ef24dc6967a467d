# SPDX-License-Identifier: GPL-2.0-or-later
"""Evidence is of all the files that it names, or of none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from panicast_build.build import verified


def test_evidence_is_gone_when_one_of_its_files_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"a.deb": "1", "b.deb": "2"}
    monkeypatch.setattr(verified, "dist_dir", lambda _: tmp_path)
    monkeypatch.setattr(verified, "hashes", lambda _: there)
    of = [{"file": file, "sha256": sha256} for file, sha256 in there.items()]
    (tmp_path / verified.SMOKE).write_text(json.dumps({"packages": of}))
    assert verified.read("debian-12", verified.SMOKE) == {"packages": of}
    there["b.deb"] = "3"
    assert verified.read("debian-12", verified.SMOKE) == {}
