# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/support.md claims what there is evidence of, for the packages that are there, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from panicast_build.build import dist, verified
from panicast_build.pages import support
from panicast_build.smoke import repo
from panicast_build.targets import distros

SMOKE = {
    "packages": [{"file": "one.rpm", "sha256": "11"}],
    "result": "pass",
    "records": [{"format": "raw"}, {"format": "v1"}],
    "kernels": {"server": "6.1.0"},
    "nic": "e1000",
    "root": "a root",
    "accelerator": "tcg",
    "started": "2026-05-04T03:02:01+00:00",
}
LIFE = {"tools": ["dnf 4", "rpm 4"], "host": "a host", "steps": ["install", "remove"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """dist/el9 with one package."""
    for module in (dist, verified):
        monkeypatch.setattr(module, "dist_dir", lambda name: tmp_path / name)
    folder = tmp_path / "el9"
    folder.mkdir()
    files = [{"file": "one.rpm", "sha256": "11"}]
    part = {"inputs": {"host": "debian"}, "files": files}
    (folder / "metadata.json").write_text(json.dumps({"version": "1.2", "components": {"kmod": part}}))
    return folder


def row() -> support.Row:
    (found,) = (row for row in support.rows() if row.name == "el9")
    return found


def test_every_target_has_a_row(folder: Path) -> None:
    assert [row.name for row in support.rows()] == list(distros.load())


def test_what_was_not_run_is_not_claimed(folder: Path) -> None:
    assert row().built == "1.2, by Debian's rpmbuild"
    assert (row().installed, row().crashed) == (support.NOT_YET, support.NOT_YET)
    (folder / "metadata.json").unlink()
    assert row().built == support.NOT_YET


def test_evidence_is_told(folder: Path) -> None:
    (folder / "smoke.json").write_text(json.dumps(SMOKE))
    assert row().crashed == "v1 and raw; kernel 6.1.0, e1000, on a root under tcg, 2026-05-04"
    (folder / "smoke-secureboot.json").write_text(json.dumps(SMOKE))
    assert row().crashed.endswith("under tcg, 2026-05-04; with Secure Boot enforcing, 2026-05-04")
    (folder / "smoke-secureboot.json").write_text(json.dumps({**SMOKE, "result": "fail"}))
    assert row().crashed.endswith("under tcg, 2026-05-04")
    verified.add_life("el9", [repo.PACKAGES[0]], verified.hashes("el9"), LIFE)
    assert row().installed == support.NOT_YET
    verified.add_life("el9", repo.PACKAGES[1:], verified.hashes("el9"), LIFE)
    assert row().installed == f"install, remove by dnf 4, rpm 4 on a host, {verified.today()}"
    assert row().reproduced == support.NOT_YET
    made = {"packages": SMOKE["packages"], "date": "2026-05-04"}
    (folder / verified.REPRODUCED).write_text(json.dumps(made))
    assert row().reproduced == "1 of its files, 2026-05-04"


@pytest.mark.parametrize(
    "change",
    [{"result": "fail"}, {"packages": [{"file": "one.rpm", "sha256": "22"}]}, {"packages": []}],
)
def test_evidence_of_something_else_is_none(folder: Path, change: dict[str, object]) -> None:
    (folder / "smoke.json").write_text(json.dumps({**SMOKE, **change}))
    assert row().crashed == support.NOT_YET
