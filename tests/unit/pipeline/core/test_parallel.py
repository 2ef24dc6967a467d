# SPDX-License-Identifier: GPL-2.0-or-later
"""Many targets at once: one that fails stops no other, and is named at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.core import parallel
from panicast_build.core.errors import BuildError, UserError

TASKS = """
import sys
from invoke import task

@task
def build(_, distro):
    print(f"building for {distro}")
    if distro == "bad":
        print("panicast: it is bad\\n          whole log: /nowhere", file=sys.stderr)
        sys.exit(1)
"""


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    monkeypatch.setattr(parallel, "ROOT", tmp_path)
    monkeypatch.setattr(parallel, "LOGS", tmp_path / "logs")


def test_one_that_fails_stops_no_other_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BuildError, match="1 of 3 targets failed: bad") as failed:
        parallel.run_all("build", ["bad", "good", "best"], [], jobs=2)
    assert failed.value.log.name == "build-bad.log"
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {row[0]: row[1] for row in rows if len(row) > 2 and row[0] in ("bad", "good", "best")} == {
        "bad": "failed",
        "good": "ok",
        "best": "ok",
    }
    assert any("it is bad" in " ".join(row) for row in rows)


def test_all_well_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    parallel.run_all("build", ["good", "best"], [], jobs=0)
    assert capsys.readouterr().out.count("ok") == 2


def test_jobs_must_be_a_number_of_processes() -> None:
    with pytest.raises(UserError, match="--jobs must be 0 or more, not -1"):
        parallel.run_all("build", ["good"], [], jobs=-1)
